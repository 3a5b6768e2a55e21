import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Jobs } from '../jobs/jobs.js';
import { ABANDONED, ABANDONED_BATCH, PURGE } from './item-import.sql.js';
import { ItemImportRuns } from './item-import-runs.js';

const PURGE_JOB = 'items.purge-imports';
const HOURLY = '41 * * * *';

/** Imports are forgotten seven days after their end; uploads that were left alone for a day end. */
@Injectable()
export class ItemImportRetention {
  constructor(
    private readonly dataSource: DataSource,
    private readonly runs: ItemImportRuns,
    jobs: Jobs,
  ) {
    jobs.recur(PURGE_JOB, HOURLY, async (signal) => {
      await this.cancelAbandoned(signal);
      await this.purge(signal);
    });
  }

  private async cancelAbandoned(signal: AbortSignal): Promise<void> {
    for (let found = ABANDONED_BATCH; found === ABANDONED_BATCH && !signal.aborted;) {
      const abandoned = await this.dataSource.query<{ id: string }[]>(ABANDONED);
      // Each is told to its own workspace.
      for (const { id } of abandoned) await this.runs.end(id, 'cancelled', 'abandoned');
      found = abandoned.length;
    }
  }

  private async purge(signal: AbortSignal): Promise<void> {
    for (let removed = 1; removed > 0 && !signal.aborted;)
      [, removed] = await this.dataSource.query<[unknown[], number]>(PURGE);
  }
}
