import type { ThrottlerStorage } from '@nestjs/throttler';
import { type Redis, RedisScript, RedisUnavailable } from '../bus/redis.js';
import type { Clock } from '../common/clock.js';
import type { FixedWindows } from './fixed-windows.js';

type ThrottlerRecord = Awaited<ReturnType<ThrottlerStorage['increment']>>;

/** Counts one more; a window begins with its first hit. Answers the hits and the milliseconds that are left. */
const HIT = new RedisScript(`
  local hits = redis.call('INCR', KEYS[1])
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 then
    left = tonumber(ARGV[1])
    redis.call('PEXPIRE', KEYS[1], left)
  end
  return {hits, left}
`);

/**
 * Counts together with all instances, in Redis. What Redis answers is kept here as well: so nobody who is over the
 * limit is asked for again, and while Redis is gone counting goes on from there, by each instance for itself.
 */
export class SharedWindows implements ThrottlerStorage {
  constructor(
    private readonly redis: Redis,
    private readonly local: FixedWindows,
    private readonly clock: Clock,
  ) {}

  /** As Nest's throttler asks: hits past `limit` are blocked until the window ends. Times in seconds. */
  async increment(key: string, ttl: number, limit: number): Promise<ThrottlerRecord> {
    const isOver = (this.local.find(key)?.hits ?? 0) > limit;
    const shared = isOver ? undefined : await this.hit(key, ttl);
    if (!shared) return this.local.increment(key, ttl, limit);
    const { hits, left } = shared;
    this.local.adopt(key, hits, this.clock.now() + left);
    const timeToExpire = Math.ceil(left / 1_000);
    const isBlocked = hits > limit;
    return { totalHits: hits, timeToExpire, isBlocked, timeToBlockExpire: isBlocked ? timeToExpire : 0 };
  }

  private async hit(key: string, ttl: number): Promise<{ hits: number; left: number } | undefined> {
    if (!this.redis.isUp) return undefined;
    try {
      const [hits, left] = (await this.redis.run(HIT, `limits:${key}`, String(ttl))) as [number, number];
      return { hits, left };
    } catch (error) {
      if (error instanceof RedisUnavailable) return undefined;
      throw error;
    }
  }
}
