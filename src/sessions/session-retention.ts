import { Injectable } from '@nestjs/common';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { Jobs } from '../jobs/jobs.js';

const RETENTION_JOB = 'sessions.retention';
const HOURLY = '47 * * * *';
const BATCH = 1_000;

/**
 * Some of the sessions that ended more than 30 days ago. By then no access token of theirs is alive (a day at most), so
 * nobody has to learn of the end any more; a refresh token of theirs is refused without them as it was with them.
 */
const REMOVE: Statement = {
  name: 'sessions.remove_ended',
  text: `WITH due AS MATERIALIZED (
      SELECT id FROM (SELECT id FROM sessions WHERE expires_at < now() - interval '30 days'
        ORDER BY expires_at LIMIT $1::int FOR UPDATE SKIP LOCKED) expired
      UNION SELECT id FROM (SELECT id FROM sessions WHERE revoked_at < now() - interval '30 days'
        ORDER BY revoked_at LIMIT $1::int FOR UPDATE SKIP LOCKED) revoked
    )
    DELETE FROM sessions s USING due d WHERE s.id = d.id RETURNING 1`,
};

/** Forgets sessions that ended long ago. The audit trail keeps that they were. */
@Injectable()
export class SessionRetention {
  constructor(
    private readonly statements: PipelinedStatements,
    jobs: Jobs,
  ) {
    jobs.recur(RETENTION_JOB, HOURLY, (signal) => this.run(signal));
  }

  /** Batch by batch; what an abort leaves is for the next time. */
  async run(signal?: AbortSignal): Promise<void> {
    for (let removed = 1; removed > 0 && !signal?.aborted;)
      removed = (await this.statements.run(REMOVE, [BATCH])).length;
  }
}
