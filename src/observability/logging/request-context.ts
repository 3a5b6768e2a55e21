import type { Request } from 'express';
import type { AuthenticatedRequest, Principal } from '../../common/access.js';
import { routeOf } from '../../common/allowed-methods.js';
import { type LogContext, WORKSPACE } from '../../common/log-context.js';
import { arrivedAt } from '../../common/paced-requests.js';
import { requestIdOf } from '../../common/request-id.js';
import { traceIdFor } from '../../common/traceparent.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
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
  readonly startedAt: number;
  private trace: string | undefined;
  private sought: { readonly route: string | undefined } | undefined;

  constructor(private readonly request: Request) {
    this.startedAt = arrivedAt(request);
  }

  get method(): string {
    return this.request.method;
  }

  get requestId(): string {
    return requestIdOf(this.request);
  }

  /** The caller's (W3C Trace Context), or a new one. */
  get traceId(): string {
    return (this.trace ??= traceIdFor(this.requestId, this.request.headers['traceparent']));
  }

  /** Says which trace it is part of, before anything is logged of it. */
  joinTrace(traceId: string): void {
    this.trace = traceId;
  }

  /** The pattern of its route; `undefined` where there is none. */
  get route(): string | undefined {
    const { route } = this.request as { route?: { path?: unknown } };
    if (typeof route?.path === 'string') return route.path;
    // It was answered before a route was looked for: its body was too big, or the instance overloaded.
    this.sought ??= { route: routeOf(this.request) };
    return this.sought.route;
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

  /** That of an agent, the one that the request names, or that of the record which it is about. */
  private workspaceId(user: Principal | undefined): string | undefined {
    if (user?.agent) return user.agent.workspaceId;
    const { params, query } = this.request;
    const { body } = this.request as { body?: { readonly workspaceId?: unknown } };
    const { route } = this;
    const inPath = route !== undefined && OF_WORKSPACE.test(route) ? params['id'] : undefined;
    // Looking for it in the address costs less than having the query parsed for nothing.
    const inQuery = this.request.url.includes('workspaceId') ? query['workspaceId'] : undefined;
    const id = inPath ?? body?.workspaceId ?? inQuery ?? (this.request.res?.locals[WORKSPACE] as unknown);
    return typeof id === 'string' && UUID.test(id) ? id : undefined;
  }
}
