import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { HealthCheck, type HealthCheckResult, HealthCheckService } from '@nestjs/terminus';
import { Public } from '../../common/access.js';
import { RateLimit } from '../../common/rate-limit.js';
import { DatabaseIndicator } from './database.indicator.js';
import { LifecycleIndicator } from './lifecycle.indicator.js';

/** Probes for Kubernetes and load balancers. */
@ApiTags('operations')
@Controller('health')
@Public()
@RateLimit('none')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly database: DatabaseIndicator,
    private readonly lifecycle: LifecycleIndicator,
  ) {}

  /** The process answers. Never fails for a dependency: restarting would not mend that. */
  @Get('live')
  @HealthCheck()
  live(): Promise<HealthCheckResult> {
    return this.health.check([]);
  }

  /** Requests are welcome: the database answers, its schema is current, and the process is not leaving. */
  @Get('ready')
  @HealthCheck()
  ready(): Promise<HealthCheckResult> {
    return this.health.check([
      () => this.lifecycle.isStaying('process'),
      () => this.database.isReachable('database'),
      () => this.database.isMigrated('migrations'),
    ]);
  }

  /** Start-up is over: migrations have been applied. */
  @Get('startup')
  @HealthCheck()
  startup(): Promise<HealthCheckResult> {
    return this.health.check([() => this.database.isMigrated('migrations')]);
  }
}
