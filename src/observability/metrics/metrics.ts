import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { AtriumConfig } from '../../config/config.js';
import { DatabaseMetrics } from './database-metrics.js';
import { HttpMetrics } from './http-metrics.js';
import { LiveMetrics } from './live-metrics.js';
import { QueueDepths } from './queue-depths.js';

/** Sums of other series, and gauges by the name of counters, to which strict readers object. */
const MISNAMED = ['resources', 'handles', 'requests'].map((each) => `nodejs_active_${each}_total`);

/**
 * What this instance counts, in the words of Prometheus. Without a management port nobody could ask for it: then
 * nothing is counted and nothing is registered.
 */
@Injectable()
export class Metrics {
  /** `undefined`: nobody counts. */
  readonly http: HttpMetrics | undefined;
  private readonly registry = new Registry();

  constructor(
    { management }: AtriumConfig,
    live: LiveMetrics,
    database: DatabaseMetrics,
    queues: QueueDepths,
  ) {
    if (!management) return;
    // The process itself: processor, memory, event loop, garbage collection.
    collectDefaultMetrics({ register: this.registry });
    for (const name of MISNAMED) this.registry.removeSingleMetric(name);
    this.http = new HttpMetrics(this.registry);
    live.register(this.registry);
    database.register(this.registry);
    queues.register(this.registry);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** Everything, as text in the exposition format. */
  async text(): Promise<string> {
    // Prometheus reads the library's spelling, too; the format knows this one alone.
    return (await this.registry.metrics()).replaceAll(/ Nan$/gm, ' NaN');
  }
}
