import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Unavailable } from './problem.js';

/** How often the event loop is asked how it is, in ms. */
const LOOK_MS = 500;
const RESOLUTION_MS = 20;
/** So often in a row it must be late: a single pause, as for collecting garbage, is no overload. */
const LOOKS = 2;
/** Whoever asks how the process is must be told, above all now. */
const PROBES = /^\/health\//;

/** Looks whether the event loop keeps up with what it has to do. */
export class EventLoopWatch {
  private readonly delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private readonly timer: NodeJS.Timeout;
  private late = 0;

  /** @param limitMs how late it may be on average */
  constructor(limitMs: number) {
    this.delay.enable();
    this.timer = setInterval(() => {
      // In nanoseconds; NaN of nothing counts as not late.
      const isLate = this.delay.mean / 1e6 - RESOLUTION_MS > limitMs;
      this.delay.reset();
      this.late = isLate ? this.late + 1 : 0;
    }, LOOK_MS).unref();
  }

  get isOverloaded(): boolean {
    return this.late >= LOOKS;
  }

  stop(): void {
    clearInterval(this.timer);
    this.delay.disable();
  }
}

/**
 * Answers 503 before anything is done for a request that would only wait with the others. Probes get through.
 * @param shed told of each
 */
export const refuseOverload =
  (watch: EventLoopWatch, shed?: () => void): RequestHandler =>
  (request: Request, _: Response, next: NextFunction): void => {
    if (!watch.isOverloaded || PROBES.test(request.url)) return next();
    shed?.();
    next(new Unavailable('This instance has more to do than it can; nothing was done. Try again.'));
  };
