import { Injectable } from '@nestjs/common';
import type { VersionCondition } from '../common/conditional.js';
import { DEFAULT_LIMIT } from '../common/pagination.js';
import { Representation } from '../common/representation.js';
import { AtriumConfig } from '../config/config.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import type { Caller } from '../workspaces/requires.js';
import { ItemCursors } from './item-cursors.js';
import { ItemHistory } from './item-history.service.js';
import {
  type ListTrashQuery,
  type RestoreItemRequest,
  toTrashedItem,
  type TrashedItemRow,
  type TrashList,
} from './item-trash.dto.js';
import { LIST_TRASH } from './item-trash.sql.js';
import type { ItemResponse } from './items.dto.js';
import { ItemNotFound, ItemWorkspaceNotFound, NotInTrash } from './items.errors.js';
import { ItemsService } from './items.service.js';
import { fitting } from './page-bytes.sql.js';

/** A row of a page: of an empty one, the stream's position alone. */
type PageRow = (TrashedItemRow | { id: null }) & { head: string };

/** How often a version is restored of an item that others keep deleting and bringing back. */
const ATTEMPTS = 5;

/** What was deleted: to look at, and to bring back. */
@Injectable()
export class ItemTrash {
  private readonly days: number;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly cursors: ItemCursors,
    private readonly epoch: Epoch,
    private readonly items: ItemsService,
    private readonly history: ItemHistory,
    config: AtriumConfig,
  ) {
    this.days = config.trash.days;
  }

  /**
   * The trash of a workspace, newest deletion first.
   * @throws {ItemWorkspaceNotFound}
   * @throws {import('../common/problem.js').ValidationFailed} for a cursor of another list
   */
  async page(
    caller: Caller<'items:read'>,
    { workspaceId, cursor, limit = DEFAULT_LIMIT }: ListTrashQuery,
  ): Promise<Representation<TrashList>> {
    const named = workspaceId ?? caller.agent?.workspaceId;
    const list = `trash ${named?.toLowerCase() ?? caller.id}`;
    const [deletedAt = null, id = null] = cursor === undefined ? [] : this.cursors.read(list, cursor).keys;
    const values = [caller.id, named ?? null, deletedAt, id, limit + 1, this.days];
    const rows = await this.statements.run<PageRow>(LIST_TRASH, values);
    if (rows.length === 0) throw new ItemWorkspaceNotFound();
    const found = rows.filter((row) => row.id !== null);
    const shown = fitting(found, limit);
    const last = shown.at(-1);
    const next =
      last && found.length > shown.length
        ? this.cursors.write(list, { mode: 'after', keys: [last.deleted_at, last.id] })
        : null;
    return new Representation(
      `{"data":[${shown.map(toTrashedItem).join(',')}],"nextCursor":${JSON.stringify(next)}}`,
      { cursor: formatCursor(this.epoch.current, Number(rows[0].head)) },
    );
  }

  /**
   * Brings a deleted item back, as it was or as it was at an older version; or goes back to an older version of one
   * that is not deleted. Either is a new version.
   * @throws {ItemNotFound}
   * @throws {import('./items.errors.js').ItemVersionNotFound}
   * @throws {NotInTrash} if it is not deleted, and no version is named
   * @throws as {@link ItemsService.update}
   */
  async restore(
    caller: Caller<'items:write'>,
    id: string,
    { version }: RestoreItemRequest,
    ifMatch: VersionCondition | undefined,
  ): Promise<Representation<ItemResponse>> {
    if (version !== undefined) return this.goBack(caller, id, version, ifMatch);
    const restored = await this.items.restore(caller, id, undefined, ifMatch);
    if (restored) return restored;
    await this.items.readToWrite(caller, id);
    throw new NotInTrash();
  }

  private async goBack(
    caller: Caller<'items:write'>,
    id: string,
    version: number,
    ifMatch: VersionCondition | undefined,
  ): Promise<Representation<ItemResponse>> {
    const content = await this.history.content(caller, id, version);
    // Somebody may delete it, or bring it back, between the two looks.
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const written =
        (await this.overwrite(caller, id, content, ifMatch)) ??
        (await this.items.restore(caller, id, content, ifMatch));
      if (written) return written;
    }
    throw new ItemNotFound();
  }

  private async overwrite(
    ...of: Parameters<ItemsService['overwrite']>
  ): Promise<Representation<ItemResponse> | undefined> {
    try {
      return await this.items.overwrite(...of);
    } catch (error) {
      if (error instanceof ItemNotFound) return undefined;
      throw error;
    }
  }
}
