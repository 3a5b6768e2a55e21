import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';

interface HistoryRow {
  system: string;
  timeline: string;
  nonce: string;
}

/** Which server, which of its timelines (a failover starts a new one), and which restore. */
const HISTORY: Statement = {
  name: 'events.history',
  text: `SELECT (SELECT system_identifier FROM pg_control_system()) AS system,
    left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline, nonce FROM stream_history`,
};

/**
 * Names the history that cursors belong to. After a restore or a failover that lost commits, a `seq` may be
 * given out again; the epoch then differs, so an old cursor is recognised instead of skipping events.
 */
@Injectable()
export class Epoch implements OnApplicationBootstrap {
  private value = '';

  constructor(private readonly statements: PipelinedStatements) {}

  /** Lower-case letters and digits. */
  get current(): string {
    return this.value;
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.refresh();
  }

  /** Asks the database again, and says whether the history has changed. */
  async refresh(): Promise<boolean> {
    const [row] = await this.statements.run<HistoryRow>(HISTORY, []);
    if (!row) throw new Error('stream_history has lost its row; restore it with a new nonce');
    const before = this.value;
    this.value = createHash('sha256')
      .update(`${row.system}/${row.timeline}/${row.nonce}`)
      .digest('hex')
      .slice(0, 12);
    return before !== '' && before !== this.value;
  }
}
