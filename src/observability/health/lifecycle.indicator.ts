import { Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { Lifecycle } from '../../common/lifecycle.js';

@Injectable()
export class LifecycleIndicator {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly lifecycle: Lifecycle,
  ) {}

  isStaying(key: string): HealthIndicatorResult {
    const indicator = this.indicators.check(key);
    return this.lifecycle.draining ? indicator.down('draining') : indicator.up();
  }
}
