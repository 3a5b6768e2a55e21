import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../common/clock.js';
import { AtriumConfig } from '../config/config.js';
import { EventPartitions } from './event-partitions.js';
import { DAY_MS, missingSpans, spanLengthFor } from './partition-plan.js';

/** Between two rounds, in ms; random, so that instances do not meet. */
const ROUND_MS = [1_800_000, 3_600_000] as const;

/**
 * Keeps events for as long as it was told: makes partitions ahead of time and drops those that are wholly older.
 * Every instance does so, one at a time.
 */
@Injectable()
export class EventRetention implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(EventRetention.name);
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly partitions: EventPartitions,
    private readonly clock: Clock,
    private readonly config: AtriumConfig,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    // Without them, events go to the default partition: no reason not to start.
    await this.attempt(() => this.prepare());
    this.schedule();
  }

  onApplicationShutdown(): void {
    this.stopped = true;
    clearTimeout(this.timer);
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

  private schedule(): void {
    if (this.stopped) return;
    const [least, most] = ROUND_MS;
    this.timer = setTimeout(
      () => {
        void this.attempt(() => this.run()).then(() => this.schedule());
      },
      least + Math.random() * (most - least),
    ).unref();
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.logger.warn(`Cannot look after the partitions of events: ${(error as Error).message}`);
    }
  }
}
