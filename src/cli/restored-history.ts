import type { DataSource } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import { OPERATOR } from '../common/client-info.js';

/** What has to be said of a database that was restored from a backup, before instances serve it. */
export class RestoredHistory {
  constructor(private readonly database: DataSource) {}

  /**
   * Names the history of events anew. The numbers after the backup are given out again, to other events: by the new name,
   * cursors of before are recognised, and their clients fetch anew instead of missing something.
   */
  async begin(): Promise<void> {
    await this.database.transaction(async (manager) => {
      await manager.query('UPDATE stream_history SET nonce = gen_random_uuid()');
      await new AuditTrail(this.database).record({ action: 'database.restored', client: OPERATOR }, manager);
    });
  }
}
