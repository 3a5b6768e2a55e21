import { type DynamicModule, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ThrottlerModule, type ThrottlerOptions } from '@nestjs/throttler';
import { BusModule } from '../bus/bus.module.js';
import { Redis } from '../bus/redis.js';
import { Clock } from '../common/clock.js';
import type { RatePolicy } from '../common/rate-limit.js';
import { AtriumConfig } from '../config/config.js';
import { DatabaseModule } from '../database/database.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { BadTokens } from './bad-tokens.js';
import { PasswordAttempts } from './password-attempts.js';
import { FixedWindows } from './fixed-windows.js';
import { AGENTS, RateLimitGuard } from './rate-limit.guard.js';
import { SharedWindows } from './shared-windows.js';
import { WINDOW_MS } from './window.js';

/** How often somebody may ask. To be named after the module whose guard finds the principal: guards run in order. */
@Module({})
export class RateLimitsModule {
  static register({ rateLimits }: AtriumConfig): DynamicModule {
    return {
      module: RateLimitsModule,
      global: true,
      imports: [
        DatabaseModule,
        JobsModule,
        ThrottlerModule.forRootAsync({
          imports: [BusModule],
          inject: [AtriumConfig, Clock, Redis],
          useFactory: (config: AtriumConfig, clock: Clock, redis: Redis) => {
            const local = new FixedWindows(clock);
            const storage = config.redis ? new SharedWindows(redis, local, clock) : local;
            return { throttlers: throttlers(config), storage };
          },
        }),
      ],
      providers: [
        BadTokens,
        PasswordAttempts,
        ...(rateLimits.enabled ? [{ provide: APP_GUARD, useClass: RateLimitGuard }] : []),
      ],
      exports: [BadTokens, PasswordAttempts],
    };
  }
}

function throttlers({ rateLimits }: AtriumConfig): ThrottlerOptions[] {
  const limits: Record<Exclude<RatePolicy, 'none'> | typeof AGENTS, number> = {
    general: rateLimits.general,
    [AGENTS]: rateLimits.agents,
    refresh: rateLimits.refreshes,
    'sign-in': rateLimits.signIns,
  };
  return Object.entries(limits).map(([name, limit]) => ({ name, limit, ttl: WINDOW_MS }));
}
