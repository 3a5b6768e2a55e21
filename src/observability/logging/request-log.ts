import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { withLogContext } from '../../common/log-context.js';
import { isProbe } from '../../common/paced-requests.js';
import { traceIdFor } from '../../common/traceparent.js';
import type { Logs } from './logs.js';
import { RequestContext } from './request-context.js';

/** The module of these lines, for `LOG_LEVELS`. */
const MODULE = 'Request';

/** Told of each request that has ended, however. */
export type RequestEnded = (context: RequestContext, response: Response, durationMs: number) => void;

/** Does what follows as part of the request's trace. */
export type RequestTraced = (
  context: RequestContext,
  request: Request,
  response: Response,
  next: () => void,
) => void;

/** Who else wants to know of requests. */
export interface RequestListeners {
  /** Told of each that has ended, also of what is not logged. */
  readonly ended?: RequestEnded | undefined;
  /** Of all but probes. */
  readonly traced?: RequestTraced | undefined;
}

/** Gives each request a log context, and logs one line of it when it has ended. Stands before all that may log. */
export function requestLog(logs: Logs, { ended, traced }: RequestListeners = {}): RequestHandler {
  return (request: Request, response: Response, next: NextFunction): void => {
    const context = new RequestContext(request);
    // They are asked every few seconds, and their failures show by themselves.
    const isQuiet = isProbe(request.url);
    const end = (): void => {
      const durationMs = performance.now() - context.startedAt;
      ended?.(context, response, durationMs);
      if (!isQuiet) logEnd(logs, context, response, durationMs);
    };
    // Whoever has gone while it waited for its round wants nothing done any more.
    if (response.closed) {
      end();
      return;
    }
    response.once('close', end);
    if (traced === undefined || isQuiet) withLogContext(context, next);
    else withLogContext(context, () => traced(context, request, response, next));
  };
}

/** 499, as proxies have it, of a request whose caller went before there was an answer. */
export const statusOf = ({ headersSent, statusCode }: Response): number => (headersSent ? statusCode : 499);

function logEnd(logs: Logs, context: RequestContext, response: Response, durationMs: number): void {
  const { writableFinished } = response;
  const status = statusOf(response);
  const level = status >= 500 ? 'warn' : 'log';
  if (!logs.levels.isEnabled(MODULE, level)) return;
  const fields = {
    ...context.logFields(),
    status,
    durationMs: Math.round(durationMs * 1_000) / 1_000,
    // Whoever asked has gone, or was cut off.
    aborted: writableFinished ? undefined : true,
  };
  logs.frequent(level, MODULE, fields, 'request');
}

/** Logs what was not even a request. */
export function logBrokenRequest(logs: Logs, requestId: string, status: number): void {
  if (!logs.levels.isEnabled(MODULE, 'log')) return;
  const traceId = traceIdFor(requestId, undefined);
  logs.frequent('log', MODULE, { requestId, traceId, status }, 'no request');
}
