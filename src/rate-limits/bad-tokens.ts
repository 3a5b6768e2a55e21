import { Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { addressOf, networkOf } from '../common/client-info.js';
import { Clock } from '../common/clock.js';
import { AtriumConfig } from '../config/config.js';
import { FixedWindows } from './fixed-windows.js';
import { RateLimited } from './rate-limits.errors.js';
import { WINDOW_MS } from './window.js';

/**
 * Counts tokens that are not good, by address: trying them costs a signature each. Who is known by a good token
 * is never held up by others at the same address, unless the token is new to this instance.
 */
@Injectable()
export class BadTokens {
  private readonly windows: FixedWindows;
  private readonly limit: number;

  constructor(
    private readonly clock: Clock,
    { rateLimits }: AtriumConfig,
  ) {
    this.windows = new FixedWindows(clock);
    this.limit = rateLimits.enabled ? rateLimits.signIns : Infinity;
  }

  /**
   * To be asked before a token is verified.
   * @throws {RateLimited} if this address has sent too many bad ones
   */
  refuseFlood(request: Request): void {
    const window = this.windows.find(networkOf(addressOf(request)));
    if (window && window.hits >= this.limit)
      throw new RateLimited(Math.ceil((window.endsAt - this.clock.now()) / 1_000));
  }

  /** To be told that a request came without a good token. */
  count(request: Request): void {
    this.windows.hit(networkOf(addressOf(request)), WINDOW_MS);
  }
}
