import { Injectable, Logger } from '@nestjs/common';
import { OPERATOR } from '../common/client-info.js';
import { AtriumConfig } from '../config/config.js';
import { Transactions } from '../database/transactions.js';
import { Jobs } from '../jobs/jobs.js';
import { AuditTrail } from './audit-trail.js';

const RETENTION_JOB = 'audit.retention';
const HOURLY = '37 * * * *';
/** Entries that go in one transaction. */
const BATCH = 1_000;

/** To the end of the transaction alone: by this, the trigger lets older entries go (decision 0043). */
const ALLOW = `SELECT set_config('atrium.audit_retention_days', $1::int::text, true)`;

/**
 * Some of what is older than `$1` days, the oldest first. Ids begin with the time, in ms, so the primary key finds them; how
 * old an entry is, its column says.
 */
const REMOVE = `
  WITH due AS MATERIALIZED (
    SELECT id FROM audit_entries
    WHERE id < (lpad(to_hex(greatest(0, floor(
        extract(epoch FROM now() - $1::int * interval '1 day') * 1000))::bigint), 12, '0') || repeat('0', 20))::uuid
      AND created_at < now() - $1::int * interval '1 day'
    ORDER BY id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM audit_entries a USING due d WHERE a.id = d.id RETURNING a.id
  )
  SELECT id FROM gone`;

/**
 * The old end of the audit trail goes after `AUDIT_RETENTION_DAYS`, if the operator has set it. The trail says itself that
 * it did: what is missing and was not said to be removed was removed by somebody else.
 */
@Injectable()
export class AuditRetention {
  private readonly logger = new Logger('Audit');
  private readonly days: number;

  constructor(
    private readonly transactions: Transactions,
    private readonly trail: AuditTrail,
    { audit }: AtriumConfig,
    jobs: Jobs,
  ) {
    this.days = audit.retentionDays;
    jobs.recur(RETENTION_JOB, HOURLY, (signal) => this.run(signal));
  }

  /**
   * Removes what is older, batch by batch; what an abort leaves is for the next time.
   * @returns how many entries went
   */
  async run(signal?: AbortSignal): Promise<number> {
    if (this.days === 0) return 0;
    let total = 0;
    for (let removed = BATCH; removed === BATCH && !signal?.aborted; total += removed)
      removed = await this.removeBatch();
    if (total > 0) this.logger.log(`Removed ${total} audit entries older than ${this.days} days`);
    return total;
  }

  private removeBatch(): Promise<number> {
    return this.transactions.run(async (manager) => {
      await manager.query(ALLOW, [this.days]);
      const { length: entries } = await manager.query<unknown[]>(REMOVE, [this.days]);
      const detail = { entries, days: this.days };
      if (entries > 0)
        await this.trail.record({ action: 'audit.removed', client: OPERATOR, detail }, manager);
      return entries;
    });
  }
}
