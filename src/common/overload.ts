import { Logger } from '@nestjs/common';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isProbe, type PacedRequests } from './paced-requests.js';
import { Unavailable } from './problem.js';
import { StandingFault } from './standing-fault.js';

/** How often the event loop is asked how it is, in ms. */
const LOOK_MS = 500;
const RESOLUTION_MS = 20;
/** So often in a row it must be late: a single pause, as for collecting garbage, is no overload. */
const LOOKS = 2;
/** So often in a row it must not be until the log says that it is over: refusing is what makes it short. */
const CALM_LOOKS = 20;

/** 503 `unavailable`: an instance refuses what it has no time for. Logged as a whole, not one by one. */
export class Overloaded extends Unavailable {
  constructor() {
    super('This instance has more to do than it can; nothing was done. Try again.');
  }
}

/** Looks whether an instance keeps up with what it has to do. */
export class OverloadWatch {
  private readonly delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private readonly fault = new StandingFault(new Logger('Overload'), 'keep up with the requests');
  private readonly timer: NodeJS.Timeout;
  private late = 0;
  private calm = 0;

  /**
   * @param paced the requests that wait to be begun
   * @param limitMs how late the event loop may be on average, and how long a request may have waited
   */
  constructor(
    private readonly paced: Pick<PacedRequests, 'oldestMs' | 'isFull'>,
    limitMs: number,
  ) {
    this.delay.enable();
    this.timer = setInterval(() => this.look(limitMs), LOOK_MS).unref();
  }

  get isOverloaded(): boolean {
    return this.late >= LOOKS || this.paced.isFull;
  }

  stop(): void {
    clearInterval(this.timer);
    this.delay.disable();
  }

  private look(limitMs: number): void {
    // In nanoseconds; NaN of nothing counts as not late.
    const loopMs = this.delay.mean / 1e6 - RESOLUTION_MS;
    const { oldestMs } = this.paced;
    this.delay.reset();
    this.late = loopMs > limitMs || oldestMs > limitMs ? this.late + 1 : 0;
    this.calm = this.isOverloaded ? 0 : this.calm + 1;
    if (this.isOverloaded) {
      const times = `the event loop is ${whole(loopMs)} ms late, the oldest has waited for ${whole(oldestMs)} ms`;
      this.fault.failed(new Error(`${times}; they are answered 503`));
    } else if (this.calm === CALM_LOOKS) this.fault.passed();
  }
}

const whole = (milliseconds: number): number => Math.max(0, Math.round(milliseconds || 0));

/**
 * Answers 503 before anything is done for a request that would only wait with the others. Probes get through.
 * @param shed told of each
 */
export const refuseOverload =
  (watch: OverloadWatch, shed?: () => void): RequestHandler =>
  (request: Request, _: Response, next: NextFunction): void => {
    if (!watch.isOverloaded || isProbe(request.url)) return next();
    shed?.();
    next(new Overloaded());
  };
