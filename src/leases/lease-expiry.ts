import { Injectable } from '@nestjs/common';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Announcements } from '../events/announcements.js';
import { Jobs } from '../jobs/jobs.js';
import { EXPIRE_LEASES } from './lease-work.sql.js';
import { eventsOf } from './leases.events.js';

const EXPIRY_JOB = 'leases.expire';
const EVERY_MINUTE = '* * * * *';
const BATCH = 500;

/**
 * Tells of leases whose time is over. Nothing waits for it: such an item can be claimed at once, and a write under such
 * a lease is refused. It is for those who watch, and for items that nobody may try any more.
 */
@Injectable()
export class LeaseExpiry {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly announcements: Announcements,
    jobs: Jobs,
  ) {
    jobs.handle(EXPIRY_JOB, { single: true }, async ({ signal }) => {
      await this.run(signal);
      return 'done';
    });
    jobs.schedule(EXPIRY_JOB, EVERY_MINUTE);
  }

  /** Until none is left, or it is aborted. */
  async run(signal?: AbortSignal): Promise<void> {
    for (let freed = BATCH; freed === BATCH && !signal?.aborted;) freed = await this.expire();
  }

  private async expire(): Promise<number> {
    const [row] = await this.statements.run<{ freed: string; events: string | null }>(EXPIRE_LEASES, [BATCH]);
    this.announcements.announce(eventsOf([row]));
    return Number(row.freed);
  }
}
