import { Injectable, Logger } from '@nestjs/common';
import { Gauge, type Registry } from 'prom-client';
import { StandingFault } from '../../common/standing-fault.js';
import { BoundedReads } from '../../database/bounded-reads.js';

/** What was read is good for so long, whoever asks how often, in ms. */
const FRESH_MS = 10_000;
/** No more items than these are counted of a state. */
const MOST_COUNTED = 10_000;

/**
 * Counts by partial indexes and no further than the bound; the queue of jobs counts itself, every ten seconds.
 */
const DEPTHS = `
  SELECT 'lease' AS kind, 'ready' AS name, '' AS state, count(*)::text AS value FROM (
    SELECT 1 FROM lease_states WHERE state = 'ready' AND state IN ('ready', 'leased') LIMIT $1::int) AS counted
  UNION ALL SELECT 'lease', 'leased', '', count(*)::text FROM (
    SELECT 1 FROM lease_states WHERE state = 'leased' LIMIT $1::int) AS counted
  UNION ALL SELECT 'lease', 'dead', '', count(*)::text FROM (
    SELECT 1 FROM lease_states WHERE state = 'dead' LIMIT $1::int) AS counted
  UNION ALL SELECT 'job', name, state, value::text FROM jobs.queue, LATERAL (VALUES
    ('waiting', ready_count), ('deferred', deferred_count), ('active', active_count), ('failed', failed_count)
  ) AS counts (state, value)
  UNION ALL SELECT 'oldest', name, '', coalesce(ready_oldest_seconds, 0)::text FROM jobs.queue`;

interface Depth {
  kind: 'lease' | 'job' | 'oldest';
  name: string;
  state: string;
  value: string;
}

/** How much waits in the queues of the database: the same at every instance. */
@Injectable()
export class QueueDepths {
  private readonly fault = new StandingFault(new Logger(QueueDepths.name), 'count what waits');
  private depths: readonly Depth[] = [];
  private readAt = -Infinity;
  private reading: Promise<void> | undefined;

  constructor(private readonly reads: BoundedReads) {}

  register(registry: Registry): void {
    const leases = new Gauge({
      name: 'atrium_leases',
      help: `Items that agents work on, by state; counted to ${MOST_COUNTED}. The same at every instance.`,
      labelNames: ['state'] as const,
      registers: [registry],
      collect: async () => {
        for (const { name, value } of await this.read('lease')) leases.set({ state: name }, Number(value));
      },
    });
    const jobs = new Gauge({
      name: 'atrium_jobs',
      help: 'Jobs, by queue and state. The same at every instance.',
      labelNames: ['queue', 'state'] as const,
      registers: [registry],
      collect: async () => {
        for (const { name, state, value } of await this.read('job'))
          jobs.set({ queue: name, state }, Number(value));
      },
    });
    const oldest = new Gauge({
      name: 'atrium_jobs_oldest_seconds',
      help: 'How long the job has waited that waits for longest, by queue. The same at every instance.',
      labelNames: ['queue'] as const,
      registers: [registry],
      collect: async () => {
        for (const { name, value } of await this.read('oldest')) oldest.set({ queue: name }, Number(value));
      },
    });
  }

  private async read(kind: Depth['kind']): Promise<Depth[]> {
    if (performance.now() - this.readAt > FRESH_MS)
      await (this.reading ??= this.refresh().finally(() => (this.reading = undefined)));
    return this.depths.filter((depth) => depth.kind === kind);
  }

  /** One statement for all of them. Without an answer, the depths of before stay. */
  private async refresh(): Promise<void> {
    try {
      this.depths = await this.reads.run<Depth>(DEPTHS, [MOST_COUNTED]);
      this.fault.passed();
    } catch (error) {
      this.fault.failed(error);
    }
    this.readAt = performance.now();
  }
}
