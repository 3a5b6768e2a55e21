import { Module } from '@nestjs/common';
import { AtriumConfig } from '../config/config.js';
import { Bus } from './bus.js';
import { Redis } from './redis.js';
import { postgresDriver } from './postgres-driver.js';

/** What instances share besides the database, and can do without. Knows no feature. */
@Module({
  providers: [
    { provide: Bus, inject: [AtriumConfig], useFactory: createBus },
    { provide: Redis, inject: [AtriumConfig], useFactory: createRedis },
  ],
  exports: [Bus, Redis],
})
export class BusModule {}

// The client for Redis, an eighth of all that a start would load, is loaded only where there is one.

async function createRedis({ redis }: AtriumConfig): Promise<Redis> {
  if (!redis) return new Redis(undefined);
  const { ScriptConnection } = await import('./script-connection.js');
  return new Redis((lost) => new ScriptConnection(redis, lost), redis.prefix);
}

async function createBus({ redis, database: { url, directUrl, pooled } }: AtriumConfig): Promise<Bus> {
  if (redis) {
    const { redisDriver } = await import('./redis-driver.js');
    return new Bus(redisDriver(redis));
  }
  const listenAt = directUrl ?? url;
  // Who listens there is forgotten, or somebody else is told.
  if (pooled && directUrl === undefined) return new Bus();
  if (listenAt === undefined)
    throw new Error('The configuration has no database.url: start the embedded server first and set its url');
  return new Bus(postgresDriver(listenAt));
}
