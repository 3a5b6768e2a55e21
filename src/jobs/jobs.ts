import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  Optional,
} from '@nestjs/common';
import { type JobWithMetadata, PgBoss } from 'pg-boss';
import { DataSource, type EntitySubscriberInterface, type QueryRunner } from 'typeorm';
import { Bus } from '../bus/bus.js';
import { Lifecycle } from '../common/lifecycle.js';
import { reasonOf } from '../common/reason.js';
import { traces } from '../common/traces.js';
import { AtriumConfig } from '../config/config.js';
import type { EnqueueOptions, JobHandler, JobOutcome, QueueOptions } from './job.js';
import { inTransaction, JobDatabase } from './job-database.js';
import { jobGivenUp } from './job-observations.js';
import { GIVEN_UP, JobQueue } from './job-queue.js';
import { JOBS_ELSEWHERE } from './jobs-elsewhere.js';

const CHANNEL = 'jobs';
/** How often an instance looks into each queue without having been told. */
const POLL_SECONDS = 15;
/** How often one of the instances looks for jobs whose instance is silent. */
const SWEEP_SECONDS = 10;
/** How often one of the instances looks at the clock for schedules. */
const CRON_SECONDS = 30;
const HOUR_SECONDS = 3_600;
/** Of what the queue itself complains about: one line in so long a time. */
const COMPLAINT_MS = 60_000;

/**
 * Work that outlives a request: once across instances, tried again when it fails or when its instance dies, in
 * PostgreSQL by pg-boss. Features say at the start, in their constructor, how the jobs of a name are done.
 *
 * Instances are told of a new job by the bus and look every 15 s in any case. An instance that was not heard of for
 * 20 s has lost its job to the next one.
 */
@Injectable()
export class Jobs
  implements
    OnApplicationBootstrap,
    BeforeApplicationShutdown,
    OnApplicationShutdown,
    EntitySubscriberInterface
{
  private readonly logger = new Logger(Jobs.name);
  private readonly database: JobDatabase;
  private readonly boss: PgBoss;
  private readonly queues = new Map<string, JobQueue>();
  private readonly schedules = new Map<string, string>();
  /** Of each queue, whoever looks into it. */
  private readonly workers = new Map<string, string[]>();
  /** Queues in which a transaction that is not committed yet has put something. */
  private readonly toWake = new WeakMap<QueryRunner, Set<string>>();
  private readonly stopping = new AbortController();
  private complainedAt = -COMPLAINT_MS;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly config: AtriumConfig,
    private readonly dataSource: DataSource,
    private readonly bus: Bus,
    private readonly lifecycle: Lifecycle,
    @Optional() @Inject(JOBS_ELSEWHERE) private readonly elsewhere = false,
  ) {
    lifecycle.signal.addEventListener('abort', () => this.stopping.abort(lifecycle.signal.reason));
    const { url, pooled, statementTimeoutMs } = config.database;
    if (url === undefined)
      throw new Error(
        'The configuration has no database.url: start the embedded server first and set its url',
      );
    this.database = new JobDatabase({ url, pooled, statementTimeoutMs });
    this.boss = new PgBoss({
      db: this.database,
      schema: 'jobs',
      // By our own migrations: a database of another version ends the start.
      migrate: false,
      registerInstance: false,
      supervise: !elsewhere,
      schedule: !elsewhere,
      // A job belongs to the trace of whoever enqueued it; that is kept beside it.
      openTelemetry: { enabled: traces !== undefined, propagateContext: true, ...traces?.libraries },
      monitorVacuum: false,
      reindex: false,
      superviseIntervalSeconds: SWEEP_SECONDS,
      monitorIntervalSeconds: SWEEP_SECONDS,
      cronMonitorIntervalSeconds: CRON_SECONDS,
      cronWorkerIntervalSeconds: CRON_SECONDS,
      maintenanceIntervalSeconds: HOUR_SECONDS,
      queueCacheIntervalSeconds: HOUR_SECONDS,
      flowIntervalSeconds: HOUR_SECONDS,
    });
    this.boss.on('error', (error) => this.complain(reasonOf(error)));
    this.boss.on('warning', ({ message }) => this.complain(message));
    this.handle(GIVEN_UP, {}, () => Promise.resolve('done'));
  }

  /** Of everything that is done here. */
  get queueNames(): Iterable<string> {
    return this.queues.keys();
  }

  /**
   * Says how the jobs of a name are done: before the application has started.
   * @param name unique in the program: `items.import`
   */
  handle<Data extends object>(name: string, options: QueueOptions<Data>, handler: JobHandler<Data>): void {
    if (this.queues.has(name)) throw new Error(`${name} is handled already`);
    this.queues.set(name, JobQueue.of(name, options, handler));
  }

  /**
   * Has a job of a {@link QueueOptions.single} queue done again and again, without data; before the application has
   * started. What was missed while no instance ran is made up for once.
   * @param cron five fields, in UTC; kept to the minute or two
   */
  schedule(name: string, cron: string): void {
    this.schedules.set(name, cron);
  }

  /**
   * {@link handle} and {@link schedule} of work without data that is done piece by piece: what it leaves when it is
   * aborted, another instance goes on with.
   */
  recur(name: string, cron: string, work: (signal: AbortSignal) => Promise<unknown>): void {
    this.handle(name, { single: true }, async ({ signal }) => {
      await work(signal);
      return signal.aborted ? 'again' : 'done';
    });
    this.schedule(name, cron);
  }

  /**
   * Has a job done, by whichever instance.
   * @returns false if one with its key waits already
   */
  async enqueue(name: string, data: object, options: EnqueueOptions = {}): Promise<boolean> {
    const { manager, key, afterSeconds } = options;
    const id = await this.boss.send(name, data, {
      ...(key !== undefined && { singletonKey: key }),
      ...(afterSeconds !== undefined && { startAfter: afterSeconds }),
      ...(manager && { db: inTransaction(manager) }),
    });
    if (manager?.queryRunner) this.wakeAfterCommit(manager.queryRunner, name);
    else this.wake(name);
    return id !== null;
  }

  /** Takes over at once, instead of in a while, what silent instances have left, and does all that is due. */
  async sweep(): Promise<void> {
    for (const name of this.queues.keys()) await this.boss.supervise(name);
    this.wakeAll();
  }

  async onApplicationBootstrap(): Promise<void> {
    this.dataSource.subscribers.push(this);
    await this.boss.start();
    if (this.elsewhere) return;
    await this.prepareQueues();
    for (const queue of this.queues.values()) await this.work(queue);
    this.bus.subscribe(CHANNEL, {
      told: (entries) => {
        for (const name of entries.keys()) this.wakeHere(name);
      },
      missed: () => this.wakeAll(),
    });
  }

  /** Takes nothing new, and waits until what runs has ended or was handed back, for as long as a drain may take. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort(new Error('Atrium is shutting down'));
    const timeout = Math.min(this.config.http.drainTimeoutMs, this.lifecycle.leftMs);
    await this.boss.stop({ graceful: true, timeout: Math.max(1, timeout), close: false });
  }

  onApplicationShutdown(): Promise<void> {
    return (this.closing ??= this.database.close());
  }

  /** Called by TypeORM. */
  afterTransactionCommit({ queryRunner }: { readonly queryRunner: QueryRunner }): void {
    const names = this.toWake.get(queryRunner);
    this.toWake.delete(queryRunner);
    for (const name of names ?? []) this.wake(name);
  }

  /** Where they differ from what the database knows, by one statement for each that does. */
  private async prepareQueues(): Promise<void> {
    const known = new Map((await this.boss.getQueues()).map((queue) => [queue.name, queue]));
    // The one that the others name comes first: it was handled first.
    for (const { name, settings } of this.queues.values()) {
      const found = known.get(name);
      if (!found) await this.boss.createQueue(name, settings);
      else if (differ(settings, found)) await this.updateQueue(name, settings);
    }
    const planned = new Map((await this.boss.getSchedules()).map(({ name, cron }) => [name, cron]));
    for (const [name, cron] of this.schedules)
      if (planned.get(name) !== cron) await this.boss.schedule(name, cron, null, { missed: 'once' });
  }

  private async updateQueue(name: string, { policy: _, ...settings }: JobQueue['settings']): Promise<void> {
    await this.boss.updateQueue(name, settings);
  }

  private async work(queue: JobQueue): Promise<void> {
    const workers: string[] = [];
    this.workers.set(queue.name, workers);
    const options = { pollingIntervalSeconds: POLL_SECONDS, includeMetadata: true, batchSize: 1 } as const;
    for (let i = 0; i < queue.concurrency; i++)
      workers.push(
        await this.boss.work(queue.name, options, async ([job]: JobWithMetadata[]) => {
          // There may be more: it looks again as soon as this is done.
          this.wakeHere(queue.name);
          await (queue.name === GIVEN_UP ? this.giveUp(job) : this.run(queue, job));
        }),
      );
  }

  private async run(queue: JobQueue, job: JobWithMetadata): Promise<void> {
    if ((await this.outcome(queue, job)) === 'done') return;
    // Enqueued before this one counts as done: between the two it is there twice, never not at all.
    const key = job.singletonKey ?? undefined;
    await this.enqueue(queue.name, job.data, key === undefined ? {} : { key });
  }

  private async outcome(queue: JobQueue, job: JobWithMetadata): Promise<JobOutcome> {
    try {
      return await queue.run(job, this.stopping.signal);
    } catch (error) {
      // Broken off because Atrium stops, or so it seems: another instance will see, and it is no failed attempt.
      if (this.stopping.signal.aborted) return 'again';
      throw error;
    }
  }

  private async giveUp({ data, sourceName, sourceId }: JobWithMetadata): Promise<void> {
    this.logger.error(`Job ${sourceId} of ${sourceName} is given up; jobs.job keeps it for a week`);
    jobGivenUp.tell({ queue: sourceName ?? GIVEN_UP });
    await this.queues.get(sourceName ?? '')?.giveUp(data);
  }

  private wakeAfterCommit(runner: QueryRunner, name: string): void {
    const names = this.toWake.get(runner) ?? new Set();
    this.toWake.set(runner, names.add(name));
  }

  private wake(name: string): void {
    this.wakeHere(name);
    this.bus.publish(CHANNEL, name);
  }

  private wakeHere(name: string): void {
    for (const worker of this.workers.get(name) ?? []) this.boss.notifyWorker(worker);
  }

  private wakeAll(): void {
    for (const name of this.workers.keys()) this.wakeHere(name);
  }

  private complain(message: string): void {
    const now = performance.now();
    if (now - this.complainedAt < COMPLAINT_MS) return;
    this.complainedAt = now;
    this.logger.warn(`The queue of jobs: ${message}`);
  }
}

function differ(settings: JobQueue['settings'], found: object): boolean {
  return Object.entries(settings).some(([key, value]) => Reflect.get(found, key) !== value);
}
