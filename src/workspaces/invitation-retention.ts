import { Injectable } from '@nestjs/common';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { Jobs } from '../jobs/jobs.js';

const RETENTION_JOB = 'invitations.retention';
const HOURLY = '27 * * * *';
const BATCH = 1_000;

/** Some of those that are good no more: whoever still has the mail is told the same without them. */
const REMOVE: Statement = {
  name: 'invitations.remove_expired',
  text: `WITH due AS MATERIALIZED (
      SELECT id FROM invitations WHERE expires_at <= now() ORDER BY expires_at LIMIT $1::int FOR UPDATE SKIP LOCKED
    )
    DELETE FROM invitations i USING due d WHERE i.id = d.id RETURNING 1`,
};

/** Forgets invitations that nobody took up, with the addresses in them. The audit trail keeps that they were. */
@Injectable()
export class InvitationRetention {
  constructor(
    private readonly statements: PipelinedStatements,
    jobs: Jobs,
  ) {
    jobs.recur(RETENTION_JOB, HOURLY, (signal) => this.run(signal));
  }

  /** Batch by batch; what an abort leaves is for the next time. */
  async run(signal?: AbortSignal): Promise<void> {
    for (let removed = BATCH; removed === BATCH && !signal?.aborted;)
      removed = (await this.statements.run(REMOVE, [BATCH])).length;
  }
}
