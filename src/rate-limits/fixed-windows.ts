import type { ThrottlerStorage } from '@nestjs/throttler';
import type { Clock } from '../common/clock.js';

/** What has happened under a key since its window began. */
export interface Window {
  hits: number;
  /** Milliseconds since the Unix epoch. */
  endsAt: number;
}

type ThrottlerRecord = Awaited<ReturnType<ThrottlerStorage['increment']>>;

/** Windows that a new one cleans up behind it: more than one, so that what has ended goes. */
const CLEANED = 2;
/** By how many milliseconds the end of one and the same window may differ between two answers from elsewhere. */
const SAME_END_MS = 1_000;

/**
 * Counts in this process, per key and window. A window begins with its first hit. Holds the newest `capacity`
 * windows, about 100 bytes each: no timer, and nothing that grows with the hits.
 */
export class FixedWindows implements ThrottlerStorage {
  /** In the order in which they began. */
  private readonly windows = new Map<string, Window>();

  constructor(
    private readonly clock: Clock,
    private readonly capacity = 100_000,
  ) {}

  get size(): number {
    return this.windows.size;
  }

  /** The window of a key, if it has one now. */
  find(key: string): Window | undefined {
    const window = this.windows.get(key);
    return window && window.endsAt > this.clock.now() ? window : undefined;
  }

  /** Counts one more. @param ttl of a window that begins now, in milliseconds */
  hit(key: string, ttl: number): Window {
    const now = this.clock.now();
    const current = this.windows.get(key);
    if (current && current.endsAt > now) {
      current.hits++;
      return current;
    }
    return this.begin(key, { hits: 1, endsAt: now + ttl }, now);
  }

  /** Takes over what was counted elsewhere. Answers may come in another order than they were given. */
  adopt(key: string, hits: number, endsAt: number): void {
    const now = this.clock.now();
    const current = this.windows.get(key);
    if (!current || current.endsAt <= now) {
      this.begin(key, { hits, endsAt }, now);
      return;
    }
    const isSame = Math.abs(current.endsAt - endsAt) < SAME_END_MS;
    current.hits = isSame ? Math.max(current.hits, hits) : hits;
    current.endsAt = endsAt;
  }

  /** As Nest's throttler asks: hits past `limit` are blocked until the window ends. Times in seconds. */
  increment(key: string, ttl: number, limit: number): Promise<ThrottlerRecord> {
    const { hits, endsAt } = this.hit(key, ttl);
    const timeToExpire = Math.ceil((endsAt - this.clock.now()) / 1_000);
    const isBlocked = hits > limit;
    return Promise.resolve({
      totalHits: hits,
      timeToExpire,
      isBlocked,
      timeToBlockExpire: isBlocked ? timeToExpire : 0,
    });
  }

  private begin(key: string, window: Window, now: number): Window {
    this.windows.delete(key);
    this.cleanUp(now);
    this.windows.set(key, window);
    return window;
  }

  private cleanUp(now: number): void {
    let left = CLEANED;
    for (const [key, { endsAt }] of this.windows) {
      if (left-- === 0 || (endsAt > now && this.windows.size < this.capacity)) return;
      this.windows.delete(key);
    }
  }
}
