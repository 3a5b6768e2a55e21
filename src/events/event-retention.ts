import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock } from '../common/clock.js';
import { reasonOf } from '../common/reason.js';
import { AtriumConfig } from '../config/config.js';
import { Jobs } from '../jobs/jobs.js';
import { EventPartitions } from './event-partitions.js';
import { DAY_MS, missingSpans, spanLengthFor } from './partition-plan.js';

const RETENTION_JOB = 'events.retention';
const HOURLY = '17 * * * *';
/** Raising the counters of many streams, and copying what is kept of them, takes its time. */
const LIMIT_SECONDS = 21_600;

/**
 * Keeps events for as long as it was told: makes partitions ahead of time and drops those that are wholly older.
 * Once across instances; only what is missing at the start is made by whoever starts.
 */
@Injectable()
export class EventRetention implements OnApplicationBootstrap {
  private readonly logger = new Logger(EventRetention.name);

  constructor(
    private readonly partitions: EventPartitions,
    private readonly clock: Clock,
    private readonly config: AtriumConfig,
    jobs: Jobs,
  ) {
    jobs.handle(RETENTION_JOB, { single: true, limitSeconds: LIMIT_SECONDS }, async () => {
      await this.run();
      return 'done';
    });
    jobs.schedule(RETENTION_JOB, HOURLY);
  }

  async onApplicationBootstrap(): Promise<void> {
    try {
      await this.prepare();
    } catch (error) {
      // Without them, events go to the default partition: no reason not to start.
      this.logger.warn(`Cannot make partitions of events: ${reasonOf(error)}`);
    }
  }

  /** One round: makes what is missing ahead, drops what is too old. */
  async run(): Promise<void> {
    await this.prepare();
    const { retentionDays } = this.config.streams;
    if (retentionDays === 0) return;
    const cutoff = this.clock.now() - retentionDays * DAY_MS;
    for (const partition of await this.partitions.list())
      if (partition.to <= cutoff && (await this.partitions.drop(partition)))
        this.logger.log(`Dropped ${partition.name}: older than ${retentionDays} days`);
    await this.partitions.trimDefault(cutoff);
  }

  private async prepare(): Promise<void> {
    const length = spanLengthFor(this.config.streams.retentionDays);
    for (const span of missingSpans(await this.partitions.list(), this.clock.now(), length))
      await this.partitions.create(span);
  }
}
