import { Logger } from '@nestjs/common';
import type { JobWithMetadata, Queue } from 'pg-boss';
import { withLogContext } from '../common/log-context.js';
import { traceIdFor } from '../common/traceparent.js';
import { jobRan } from './job-observations.js';
import type { JobHandler, JobOutcome, QueueOptions } from './job.js';

/** Where a job goes, as a copy, when it is given up. */
export const GIVEN_UP = 'jobs.given-up';

/** An instance that was silent for so long has lost its job. It lets hear of itself in half the time. */
const HEARTBEAT_SECONDS = 20;
const LONGEST_WAIT_SECONDS = 600;
const KEPT_SECONDS = 7 * 86_400;

/** A queue as this instance knows it: how its jobs are run. */
export class JobQueue {
  private readonly logger = new Logger('Jobs');

  private constructor(
    readonly name: string,
    readonly concurrency: number,
    /** What the database keeps of it, for jobs to come. */
    readonly settings: Omit<Queue, 'name'>,
    private readonly work: (job: JobWithMetadata, signal: AbortSignal) => Promise<JobOutcome>,
    /** Told of a job that is given up. */
    readonly giveUp: (data: object) => Promise<void>,
  ) {}

  static of<Data extends object>(
    name: string,
    options: QueueOptions<Data>,
    handler: JobHandler<Data>,
  ): JobQueue {
    return new JobQueue(
      name,
      options.concurrency ?? 1,
      {
        policy: options.single ? 'stately' : 'standard',
        retryLimit: options.retries ?? 5,
        retryDelay: options.retryAfterSeconds ?? 2,
        retryBackoff: true,
        retryDelayMax: LONGEST_WAIT_SECONDS,
        expireInSeconds: options.limitSeconds ?? 300,
        heartbeatSeconds: HEARTBEAT_SECONDS,
        deleteAfterSeconds: KEPT_SECONDS,
        ...(name !== GIVEN_UP && { deadLetter: GIVEN_UP }),
      },
      // What was enqueued under a name is what its handler is for.
      ({ id, data, retryCount }, signal) =>
        handler({ id, data: data as Data, attempt: retryCount + 1, signal }),
      async (data) => options.onGivenUp?.(data as Data),
    );
  }

  /** Runs a job. @throws whatever its handler throws: it is tried again, or given up */
  run(job: JobWithMetadata, stopping: AbortSignal): Promise<JobOutcome> {
    const fields = { job: job.id, queue: this.name, traceId: traceIdFor(job.id, undefined) };
    return withLogContext({ logFields: () => fields }, () => this.observed(job, stopping));
  }

  private async observed(job: JobWithMetadata, stopping: AbortSignal): Promise<JobOutcome> {
    const startedAt = performance.now();
    let outcome: JobOutcome | 'failed' = 'failed';
    try {
      return (outcome = await this.attempt(job, stopping));
    } finally {
      jobRan.tell({ queue: this.name, outcome, durationMs: performance.now() - startedAt });
    }
  }

  private async attempt(job: JobWithMetadata, stopping: AbortSignal): Promise<JobOutcome> {
    try {
      return await this.work(job, AbortSignal.any([job.signal, stopping]));
    } catch (error) {
      const left = job.retryLimit - job.retryCount;
      const next = left > 0 ? `it is tried again, ${left} times at most` : 'that was the last attempt';
      const { message } = error instanceof Error ? error : new Error(String(error));
      this.logger.warn(`Job ${job.id} of ${this.name} failed (${next}): ${message}`, error);
      throw error;
    }
  }
}
