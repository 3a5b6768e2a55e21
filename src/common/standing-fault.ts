import type { Logger } from '@nestjs/common';
import { reasonOf } from './reason.js';

/** How often it is said of what goes on failing, in ms. */
const REMINDER_MS = 60_000;

/**
 * Something that is tried again and again, whatever becomes of it: the log says when it begins to fail, each minute that
 * it still does, and when it is well again, so that an outage does not bury what else there is to read.
 */
export class StandingFault {
  /** By {@link performance.now}; `undefined` while all is well. */
  private since: number | undefined;
  private saidAt = 0;

  /** @param what it is that cannot be done: `sweep the streams` */
  constructor(
    private readonly logger: Pick<Logger, 'warn' | 'log'>,
    private readonly what: string,
  ) {}

  failed(error: unknown): void {
    const now = performance.now();
    if (this.since !== undefined && now - this.saidAt < REMINDER_MS) return;
    this.since ??= now;
    this.saidAt = now;
    this.logger.warn(`Cannot ${this.what}: ${reasonOf(error)}`);
  }

  passed(): void {
    if (this.since === undefined) return;
    const seconds = ((performance.now() - this.since) / 1_000).toFixed(1);
    this.since = undefined;
    this.logger.log(`Can ${this.what} again, after ${seconds} s`);
  }
}
