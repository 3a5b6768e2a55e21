import { Injectable } from '@nestjs/common';
import { Clock } from '../common/clock.js';
import { AtriumConfig } from '../config/config.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { Jobs } from '../jobs/jobs.js';

const RETENTION_JOB = 'rooms.retention';
const HOURLY = '37 * * * *';
const BATCH = 500;
const DAY_MS = 86_400_000;

/** Some of those that were closed before $2, and of which nothing is kept that could be read. */
const REMOVE: Statement = {
  name: 'rooms.remove_closed',
  text: `WITH due AS MATERIALIZED (
      SELECT r.id FROM rooms r
      WHERE r.closed_at < $2::timestamptz AND NOT EXISTS (
        SELECT FROM events e WHERE e.stream_id = r.workspace_id AND e.subject = 'rooms/' || r.id)
      ORDER BY r.closed_at LIMIT $1::int FOR UPDATE OF r SKIP LOCKED
    )
    DELETE FROM rooms r USING due d WHERE r.id = d.id RETURNING 1`,
};

/** Forgets closed rooms, with their members, once the last of what was said in them has gone. */
@Injectable()
export class ClosedRoomRetention {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly clock: Clock,
    private readonly config: AtriumConfig,
    jobs: Jobs,
  ) {
    jobs.recur(RETENTION_JOB, HOURLY, (signal) => this.run(signal));
  }

  /** Batch by batch; what an abort leaves is for the next time. */
  async run(signal?: AbortSignal): Promise<void> {
    const { retentionDays } = this.config.streams;
    if (retentionDays === 0) return;
    const cutoff = new Date(this.clock.now() - retentionDays * DAY_MS).toISOString();
    for (let removed = BATCH; removed === BATCH && !signal?.aborted;)
      removed = (await this.statements.run(REMOVE, [BATCH, cutoff])).length;
  }
}
