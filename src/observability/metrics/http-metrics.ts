import type { Response } from 'express';
import { Counter, Histogram, type Registry } from 'prom-client';
import type { RequestContext } from '../logging/request-context.js';
import { statusOf } from '../logging/request-log.js';

/** What an address without a route counts as: clients can think of any number of those. */
const NO_ROUTE = 'none';
/** The others are asked for by mistake. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Rate, errors and duration of requests, by the pattern of their route. */
export class HttpMetrics {
  private readonly durations: Histogram<'method' | 'route' | 'status'>;
  private readonly shed: Counter;

  constructor(registry: Registry) {
    this.durations = new Histogram({
      name: 'atrium_http_request_duration_seconds',
      help: 'How long requests took, by method, pattern of the route (none: no such address) and class of status.',
      labelNames: ['method', 'route', 'status'],
      buckets: SECONDS,
      registers: [registry],
    });
    this.shed = new Counter({
      name: 'atrium_http_requests_shed_total',
      help: 'Requests that were answered 503 at once since the instance was overloaded.',
      registers: [registry],
    });
  }

  ended(context: RequestContext, response: Response, durationMs: number): void {
    const { method, route = NO_ROUTE } = context;
    this.durations.observe(
      {
        method: METHODS.has(method) ? method : 'other',
        route,
        status: `${Math.floor(statusOf(response) / 100)}xx`,
      },
      durationMs / 1_000,
    );
  }

  /** A request was refused by an instance that has more to do than it can. */
  wasShed(): void {
    this.shed.inc();
  }
}
