import type { EntityManager } from 'typeorm';

/** One run of a job. */
export interface Job<Data extends object> {
  readonly id: string;
  readonly data: Data;
  /** 1 for the first. */
  readonly attempt: number;
  /**
   * Aborted when this run should end soon: Atrium stops, the run has taken too long, or another instance has taken
   * the job over, since nothing was heard of this one.
   */
  readonly signal: AbortSignal;
}

/** `again`: there is more to do, now or at another instance. It counts as no attempt. */
export type JobOutcome = 'done' | 'again';

/**
 * Does a job. It may be run again after it was done, and, when an instance was silent for too long, by two at once:
 * what must not happen twice is guarded by the handler, in the database.
 */
export type JobHandler<Data extends object> = (job: Job<Data>) => Promise<JobOutcome>;

/** How a queue's jobs are run. */
export interface QueueOptions<Data extends object> {
  /** At most one waits and one runs, per key; what is enqueued while one waits is that one. False by default. */
  readonly single?: boolean;
  /** How many an instance runs at once; 1 by default. */
  readonly concurrency?: number;
  /** How often a job is tried again after its first run failed; 5 by default. */
  readonly retries?: number;
  /** How long after the first failure, then doubling up to ten minutes; 2 by default. */
  readonly retryAfterSeconds?: number;
  /** What one run may take; 300 by default. */
  readonly limitSeconds?: number;
  /** Told once a job is given up. It is kept for a week, and logged, in any case. */
  readonly onGivenUp?: (data: Data) => Promise<void>;
}

/** How a job is put into its queue. */
export interface EnqueueOptions {
  /** The transaction that it belongs to: there is a job if, and as soon as, that commits. */
  readonly manager?: EntityManager;
  /** What a {@link QueueOptions.single} queue tells its jobs apart by. */
  readonly key?: string;
  /** Not before so many seconds have passed; it may be 15 s later. */
  readonly afterSeconds?: number;
}
