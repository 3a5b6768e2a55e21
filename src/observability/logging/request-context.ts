import type { Request } from 'express';
import { randomUUID } from 'node:crypto';
import type { AuthenticatedRequest, Principal } from '../../common/access.js';
import type { LogContext } from '../../common/log-context.js';
import { requestIdOf } from '../../common/request-id.js';
import { traceIdOf } from '../../common/traceparent.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** Paths whose `:id` is a workspace's. */
const OF_WORKSPACE = /^\/v1\/workspaces\/:id(?:\/|$)/;

/** How the log names whoever calls. */
export const principalName = ({ kind, id }: Principal): string => `${kind}:${id}`;

/**
 * A request, as the log knows it. What it says of it has no character that a client could choose freely: ids that were
 * checked, the pattern of the route in the place of the address.
 */
export class RequestContext implements LogContext {
  /** By {@link performance.now}. */
  readonly startedAt = performance.now();
  private trace: string | undefined;

  constructor(private readonly request: Request) {}

  get method(): string {
    return this.request.method;
  }

  get requestId(): string {
    return requestIdOf(this.request);
  }

  /** The caller's (W3C Trace Context), or a new one. */
  get traceId(): string {
    return (this.trace ??= this.findTrace());
  }

  /** Says which trace it is part of, before anything is logged of it. */
  joinTrace(traceId: string): void {
    this.trace = traceId;
  }

  /** Whose route it is; `undefined` where there is none, or before it was found. */
  get route(): string | undefined {
    const { route } = this.request as { route?: { path?: unknown } };
    return typeof route?.path === 'string' ? route.path : undefined;
  }

  logFields(): Record<string, string | undefined> {
    const { user } = this.request as Partial<AuthenticatedRequest>;
    return {
      requestId: this.requestId,
      traceId: this.traceId,
      principal: user && principalName(user),
      workspaceId: this.workspaceId(user),
      method: this.method,
      route: this.route,
    };
  }

  private findTrace(): string {
    const given = traceIdOf(this.request.headers['traceparent']);
    if (given !== undefined) return given;
    // An id of our own making is as good as a new one, and leads from one to the other.
    const id = this.requestId;
    return (UUID_V4.test(id) ? id : randomUUID()).replaceAll('-', '');
  }

  /** That of an agent, or the one that the request names. */
  private workspaceId(user: Principal | undefined): string | undefined {
    if (user?.agent) return user.agent.workspaceId;
    const { params, query } = this.request;
    const { body } = this.request as { body?: { readonly workspaceId?: unknown } };
    const { route } = this;
    const inPath = route !== undefined && OF_WORKSPACE.test(route) ? params['id'] : undefined;
    // Looking for it in the address costs less than having the query parsed for nothing.
    const inQuery = this.request.url.includes('workspaceId') ? query['workspaceId'] : undefined;
    const id = inPath ?? body?.workspaceId ?? inQuery;
    return typeof id === 'string' && UUID.test(id) ? id : undefined;
  }
}
