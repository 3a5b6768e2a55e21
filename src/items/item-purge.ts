import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import type { VersionCondition } from '../common/conditional.js';
import { PreconditionRequired } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { AtriumConfig } from '../config/config.js';
import { AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { EventArchives } from '../events/event-archives.js';
import { Jobs } from '../jobs/jobs.js';
import type { Caller } from '../workspaces/requires.js';
import { lockWorkspace, requireVersion } from '../workspaces/workspace-lock.js';
import {
  FIND_TRASHED,
  LOCK_TRASHED,
  PURGE_BATCH,
  PURGE_EXPIRED,
  PURGE_ONE,
  PURGE_VERSIONS,
} from './item-purge.sql.js';
import { ItemNotFound } from './items.errors.js';
import { ITEM_PURGED, itemRoom } from './items.events.js';

const PURGE_JOB = 'items.purge';
const HOURLY = '27 * * * *';

/**
 * The end of what was deleted: when its time is over, or before, when an admin says so. The item is gone with its
 * transaction; what is archived of its versions, which nobody can read then, goes after it, batch by batch.
 */
@Injectable()
export class ItemPurge {
  private readonly days: number;

  constructor(
    private readonly dataSource: DataSource,
    private readonly appending: AppendingTransactions,
    private readonly archives: EventArchives,
    private readonly audit: AuditTrail,
    private readonly epoch: Epoch,
    private readonly jobs: Jobs,
    config: AtriumConfig,
  ) {
    this.days = config.trash.days;
    jobs.recur(PURGE_JOB, HOURLY, (signal) => this.run(signal));
  }

  /** Purges what has been in the trash for longer than it is kept. The stream is told nothing: `keptUntil` was known. */
  async run(signal?: AbortSignal): Promise<void> {
    while (this.days > 0 && !signal?.aborted && (await this.purgeExpired()) === PURGE_BATCH);
    while (!signal?.aborted && (await this.dataSource.query<unknown[]>(PURGE_VERSIONS)).length > 0);
  }

  /**
   * Purges one deleted item now; the audit trail keeps who did.
   * @returns the cursor of the event that tells of it
   * @throws {ItemNotFound} if it is not in the trash, or the caller is no member of its workspace
   * @throws {import('../common/problem.js').Forbidden}
   * @throws {import('../common/problem.js').VersionMismatch} if `ifMatch` does not name the version of the deletion
   * @throws {PreconditionRequired} if there is none, and the workspace demands it
   */
  async purge(
    caller: Caller<'items:purge'>,
    id: string,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<never>> {
    const { events } = await this.appending.run(async (manager) => {
      const { workspaceId, number } = await this.purgeOne(manager, caller, id, ifMatch);
      const data = { id, workspaceId, version: number + 1 };
      const detail = { itemId: id, version: data.version };
      const entry = { client, workspaceId, principalId: caller.id, detail };
      await this.audit.record({ action: ITEM_PURGED, ...entry }, manager);
      const [streamId, subject] = [workspaceId, itemRoom(id)];
      return {
        answer: undefined,
        events: [{ streamId, subject, type: ITEM_PURGED, principalId: caller.id, data }],
      };
    });
    return Representation.empty({ cursor: formatCursor(this.epoch.current, events[0].seq) });
  }

  private async purgeOne(
    manager: EntityManager,
    caller: Caller<'items:purge'>,
    id: string,
    ifMatch: VersionCondition | undefined,
  ): Promise<{ workspaceId: string; number: number }> {
    const [found] = await manager.query<{ workspaceId: string }[]>(FIND_TRASHED, [id, caller.id]);
    if (!found) throw new ItemNotFound();
    await lockWorkspace(manager, caller, found.workspaceId);
    await this.archives.exclude(manager);
    const [row] = await manager.query<{ version: number; requireIfMatch: boolean }[]>(LOCK_TRASHED, [id]);
    if (!row) throw new ItemNotFound();
    if (row.requireIfMatch && ifMatch === undefined) throw new PreconditionRequired();
    requireVersion(row.version, ifMatch);
    await manager.query(PURGE_ONE, [id]);
    await this.jobs.enqueue(PURGE_JOB, {}, { manager });
    return { workspaceId: found.workspaceId, number: row.version };
  }

  private async purgeExpired(): Promise<number> {
    return this.dataSource.transaction(async (manager) => {
      await this.archives.exclude(manager);
      return (await manager.query<unknown[]>(PURGE_EXPIRED, [this.days])).length;
    });
  }
}
