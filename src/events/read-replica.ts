import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { within } from '../bus/link.js';
import { reasonOf } from '../common/reason.js';
import { ReadTooSlowError } from '../database/bounded-reads.js';
import { DatabaseBusyError } from '../database/errors.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import type { PoolUse } from '../database/pool-use.js';
import type { Snapshot, SnapshotReads } from '../database/snapshot-reads.js';
import { replicaAsked } from './stream-observations.js';

/** Where a replica is, in two pools: of what is read at once, and of what is read for long. */
export interface ReplicaPools {
  readonly reads: SnapshotReads;
  readonly exports: SnapshotReads;
  /** What one of `reads` may take, in ms. */
  readonly limitMs: number;
}

interface PositionRow {
  head: string;
  history: string;
}

/** What a server says it goes by: which one it is, on which of its timelines, of which restore. */
const history = (timeline: string): string =>
  `(SELECT system_identifier FROM pg_control_system()) || '/' || ${timeline} || '/' ||
    (SELECT nonce FROM stream_history)`;

/** How far a stream is by now, and in which history. */
const POSITION: Statement = {
  name: 'events.position',
  text: `SELECT head, ${history('left(pg_walfile_name(pg_current_wal_lsn()), 8)')} AS history
    FROM streams WHERE id = $1`,
};
/** The same of a replica. One that has just changed to a new timeline says so a little late: until then it is none. */
const COPY = `SELECT head, ${history("lpad(upper(to_hex((SELECT timeline_id FROM pg_control_checkpoint()))), 8, '0')")} AS history
  FROM streams WHERE id = $1 AND pg_is_in_recovery()`;

/** What the replica may take to answer at all, in ms, before it counts as away. */
const PATIENCE_MS = 500;
/** What it may be behind, in ms: so long a read waits for it. */
const LAG_MS = 100;
const LOOK_MS = 5;
/** How long nobody asks a replica that was behind, and one that was away: doubling, in ms. */
const PAUSE_MS = { behind: 1_000, first: 1_000, last: 30_000 };

/**
 * Has reads done by a replica that are nowhere else older: what it reads is as new as the primary was when it was asked.
 * So whoever has written sees it, and whoever has lost a right has lost it here, too.
 *
 * The primary says how far the stream is, in one short statement; a replica that is as far (`seq` is the order of
 * commits, so it has everything up to there), and is of the same history, reads in that very snapshot. Where there is
 * none, or it is away or too far behind, there is no answer, and the primary is to be asked.
 */
@Injectable()
export class ReadReplica implements OnApplicationShutdown {
  private readonly logger = new Logger(ReadReplica.name);
  private pausedUntil = 0;
  private failures = 0;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly pools: ReplicaPools | undefined,
  ) {}

  get isThere(): boolean {
    return this.pools !== undefined;
  }

  get use(): PoolUse | undefined {
    return this.pools?.reads.use;
  }

  /**
   * Reads once, of one workspace.
   * @returns `undefined`: ask the primary
   * @throws {ReadTooSlowError} the read took longer than it may
   */
  async read<T>(streamId: string, work: (snapshot: Snapshot) => Promise<T>): Promise<T | undefined> {
    const snapshot = this.pools && (await this.covering(streamId, this.pools.reads));
    if (!snapshot || !this.pools) return undefined;
    try {
      const answer = await within(this.pools.limitMs + PATIENCE_MS, work(snapshot));
      void snapshot.close();
      return answer;
    } catch (error) {
      snapshot.abandon();
      if (error instanceof ReadTooSlowError) throw error;
      // It may have been in the way of what the replica had to do.
      this.lose(error);
      return undefined;
    }
  }

  /** A snapshot to be read for longer, and closed by the caller; `undefined`: take one of the primary. */
  async begin(streamId: string): Promise<Snapshot | undefined> {
    return this.pools && this.covering(streamId, this.pools.exports);
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([
      this.pools?.reads.onApplicationShutdown(),
      this.pools?.exports.onApplicationShutdown(),
    ]);
  }

  /** A snapshot of the replica with all that the primary has of this stream by now. */
  private async covering(streamId: string, pool: SnapshotReads): Promise<Snapshot | undefined> {
    if (performance.now() < this.pausedUntil) {
      replicaAsked.tell({ outcome: this.failures > 0 ? 'away' : 'behind' });
      return undefined;
    }
    const [due] = await this.statements.run<PositionRow>(POSITION, [streamId]);
    if (!due) return undefined;
    try {
      const found = await this.waitFor(streamId, due, pool);
      if (this.failures > 0) this.logger.log('The replica is back');
      this.failures = 0;
      if (found) {
        replicaAsked.tell({ outcome: 'used' });
        return found;
      }
      this.pausedUntil = performance.now() + PAUSE_MS.behind;
      replicaAsked.tell({ outcome: 'behind' });
      return undefined;
    } catch (error) {
      if (!(error instanceof DatabaseBusyError)) this.lose(error);
      replicaAsked.tell({ outcome: 'away' });
      return undefined;
    }
  }

  private async waitFor(
    streamId: string,
    due: PositionRow,
    pool: SnapshotReads,
  ): Promise<Snapshot | undefined> {
    const deadline = performance.now() + LAG_MS;
    for (;;) {
      const found = await opened(streamId, due, pool);
      if (found || performance.now() > deadline) return found;
      await delay(LOOK_MS);
    }
  }

  private lose(error: unknown): void {
    if (this.failures === 0)
      this.logger.warn(`The replica is away, so the primary is asked: ${reasonOf(error)}`);
    this.pausedUntil = performance.now() + Math.min(PAUSE_MS.first * 2 ** this.failures++, PAUSE_MS.last);
  }
}

/** A snapshot that has all that is due; `undefined` if it has not, yet. */
async function opened(
  streamId: string,
  due: PositionRow,
  pool: SnapshotReads,
): Promise<Snapshot | undefined> {
  const opening = pool.begin();
  const snapshot = await within(PATIENCE_MS, opening).catch((error: unknown) => {
    // It may still come, and nobody waits for it any more.
    opening.then(
      (late) => late.abandon(),
      () => undefined,
    );
    throw error;
  });
  try {
    const [copy] = await within(PATIENCE_MS, snapshot.run<PositionRow>(COPY, [streamId]));
    if (copy && copy.history === due.history && Number(copy.head) >= Number(due.head)) return snapshot;
  } catch (error) {
    snapshot.abandon();
    throw error;
  }
  void snapshot.close();
  return undefined;
}
