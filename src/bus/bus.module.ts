import { Module } from '@nestjs/common';
import { AtriumConfig } from '../config/config.js';
import { Bus } from './bus.js';
import { Redis } from './redis.js';
import { postgresDriver } from './postgres-driver.js';
import { redisDriver } from './redis-driver.js';

/** What instances share besides the database, and can do without. Knows no feature. */
@Module({
  providers: [
    { provide: Bus, inject: [AtriumConfig], useFactory: createBus },
    { provide: Redis, inject: [AtriumConfig], useFactory: ({ redis }: AtriumConfig) => new Redis(redis) },
  ],
  exports: [Bus, Redis],
})
export class BusModule {}

function createBus({ redis, database: { url, directUrl, pooled } }: AtriumConfig): Bus {
  if (redis) return new Bus(redisDriver(redis));
  const listenAt = directUrl ?? url;
  // Who listens there is forgotten, or somebody else is told.
  if (pooled && directUrl === undefined) return new Bus();
  if (listenAt === undefined)
    throw new Error('The configuration has no database.url: start the embedded server first and set its url');
  return new Bus(postgresDriver(listenAt));
}
