import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { VersionCondition } from '../common/conditional.js';
import { newId } from '../common/identifiers.js';
import { Forbidden, PreconditionRequired, VersionMismatch } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { requireWritable, writableTypes } from '../common/scopes.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Transactions } from '../database/transactions.js';
import { Announcements } from '../events/announcements.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { EventArchives } from '../events/event-archives.js';
import { type CombinableWrite, WriteCombiner } from '../events/write-combiner.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import type { Role } from '../workspaces/membership.entity.js';
import { may } from '../workspaces/permissions.js';
import type { Caller } from '../workspaces/requires.js';
import { WorkspaceDeletion } from '../workspaces/workspace-deletion.js';
import { Item } from './item.entity.js';
import {
  type CreateItemRequest,
  type ItemResponse,
  type ItemRow,
  type ReplaceItemContent,
  toItemResponse,
  type UpdateItemRequest,
} from './items.dto.js';
import { ItemVersion } from './item-version.entity.js';
import { ItemHomes } from './item-homes.js';
import { ItemLanes, LargeItems } from './item-lanes.js';
import { PurgedItem } from './purged-item.entity.js';
import { RESTORE_ITEMS, type RestoreInput } from './item-trash.sql.js';
import { ItemNotFound, ItemWorkspaceNotFound, LeaseLost } from './items.errors.js';
import {
  ITEM_CREATED,
  ITEM_DELETED,
  ITEM_RESTORED,
  ITEM_UPDATED,
  toItemEvent,
  type WrittenItemRow,
} from './items.events.js';
import {
  type ChangeInput,
  CREATE_ITEMS,
  type CreateInput,
  DELETE_ITEMS,
  READ_ITEM,
  READ_TO_WRITE,
  UPDATE_ITEMS,
  type UpdateInput,
} from './items.sql.js';
import { TrashedItem } from './trashed-item.entity.js';

/** A combined statement's answer to one write; the item's columns are null where nothing was written. */
type WriteRow = {
  n: string;
  role: Role | null;
  found_version?: string | null;
  found_type?: string | null;
  lacks_if_match?: string | null;
  lease_lost?: string | null;
} & (WrittenItemRow | { seq: null });

/** Documents: read and written in one statement each, the membership check inside it. */
@Injectable()
export class ItemsService implements OnModuleInit {
  private readonly creates: ItemLanes<CreateInput, WriteRow>;
  private readonly updates: ItemLanes<UpdateInput, WriteRow>;
  private readonly deletes: ItemLanes<ChangeInput, WriteRow>;
  private readonly restores: ItemLanes<RestoreInput, WriteRow>;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly announcements: Announcements,
    private readonly epoch: Epoch,
    private readonly workspaceDeletion: WorkspaceDeletion,
    private readonly archives: EventArchives,
    private readonly transactions: Transactions,
    private readonly kept: KeptAnswers,
    private readonly homes: ItemHomes,
    private readonly large: LargeItems,
  ) {
    this.creates = this.lanes(CREATE_ITEMS, ITEM_CREATED);
    this.updates = this.lanes(UPDATE_ITEMS, ITEM_UPDATED);
    this.deletes = this.lanes(DELETE_ITEMS, ITEM_DELETED);
    this.restores = this.lanes(RESTORE_ITEMS, ITEM_RESTORED);
  }

  onModuleInit(): void {
    this.workspaceDeletion.add(async (manager, workspaceId) => {
      await manager.delete(Item, { workspaceId });
      await this.archives.exclude(manager);
      await manager.delete(TrashedItem, { workspaceId });
      await manager.delete(ItemVersion, { workspaceId });
      await manager.delete(PurgedItem, { workspaceId });
    });
  }

  /**
   * @throws {ItemWorkspaceNotFound}
   * @throws {Forbidden} for a viewer
   * @throws {import('../common/scopes.js').TypeNotWritable}
   */
  async create(
    caller: Caller<'items:write'>,
    request: CreateItemRequest,
  ): Promise<Representation<ItemResponse>> {
    const { title, type, data, workspaceId } = request;
    const input: CreateInput = {
      id: newId(),
      event_id: newId(),
      principal_id: caller.id,
      workspace_id: workspaceId ?? caller.agent?.workspaceId,
      type,
      title,
      data,
      writable: writableTypes(caller),
    };
    const represent = (row: WriteRow): Representation<ItemResponse> => {
      if (row.role === null) throw new ItemWorkspaceNotFound();
      return this.written(caller, row, [type], (item) => `/v1/items/${item.id}`);
    };
    return this.post(caller, this.creates, input, represent, 201);
  }

  /** @throws {ItemNotFound} */
  async read(caller: Caller<'items:read'>, id: string): Promise<Representation<ItemResponse>> {
    const row = await this.homes.ask<ItemRow & { head: string }>(READ_ITEM, id, caller.id);
    if (!row) throw new ItemNotFound();
    this.large.note(id, row.data.length);
    return new Representation(toItemResponse(row), {
      version: Number(row.version),
      cursor: formatCursor(this.epoch.current, Number(row.head)),
      workspaceId: row.workspace_id,
    });
  }

  /**
   * Applies a merge patch to the item as it is at that moment, so patches of different keys all survive.
   * @throws {ItemNotFound}
   * @throws {Forbidden} for a viewer
   * @throws {VersionMismatch} if `ifMatch` does not hold
   * @throws {PreconditionRequired} if there is none, and the workspace demands it
   * @throws {import('../common/scopes.js').TypeNotWritable} for an agent that may not write what it was or becomes
   * @throws {LeaseLost} if a lease is named, and the caller does not hold it
   */
  async update(
    caller: Caller<'items:write'>,
    id: string,
    patch: UpdateItemRequest,
    ifMatch: VersionCondition | undefined,
    lease?: string,
  ): Promise<Representation<ItemResponse>> {
    const { title, type, data } = patch;
    const row = await this.updates.run({ ...this.change(caller, id, ifMatch, lease), type, title, data });
    return this.changed(caller, row, type);
  }

  /**
   * An item that the caller may change, to work out what it becomes; then {@link replace}.
   * @throws {ItemNotFound}
   * @throws {Forbidden} for a viewer
   */
  async readToWrite(caller: Caller<'items:write'>, id: string): Promise<ItemRow> {
    const row = await this.homes.ask<ItemRow & { role: Role }>(READ_TO_WRITE, id, caller.id);
    if (!row) throw new ItemNotFound();
    this.large.note(id, row.data.length);
    refuseViewer(row.role);
    requireWritable(caller, row.type);
    return row;
  }

  /**
   * Puts another content in the place of the one that had this version.
   * @param conditional whether the caller had said by `If-Match` which version it may start from
   * @throws {ItemNotFound}
   * @throws {Forbidden} for a viewer
   * @throws {VersionMismatch} if the item has moved on
   * @throws {LeaseLost} if a lease is named, and the caller does not hold it
   */
  async replace(
    caller: Caller<'items:write'>,
    id: string,
    content: ReplaceItemContent,
    version: number,
    conditional: boolean,
    lease?: string,
  ): Promise<Representation<ItemResponse>> {
    const { title, type, data: replacement } = content;
    const input = { ...this.change(caller, id, [version], lease), conditional, type, title, replacement };
    return this.changed(caller, await this.updates.run(input), type);
  }

  /**
   * Puts another content in the place of whatever there is.
   * @throws as {@link update}
   */
  async overwrite(
    caller: Caller<'items:write'>,
    id: string,
    content: ReplaceItemContent,
    ifMatch: VersionCondition | undefined,
  ): Promise<Representation<ItemResponse>> {
    const { title, type, data: replacement } = content;
    const input = { ...this.change(caller, id, ifMatch), type, title, replacement };
    return this.post(caller, this.updates, input, (row) => this.changed(caller, row, type));
  }

  /**
   * Moves an item to the trash.
   * @returns the cursor of the deletion
   * @throws as {@link update}
   */
  async delete(
    caller: Caller<'items:write'>,
    id: string,
    ifMatch: VersionCondition | undefined,
    lease?: string,
  ): Promise<Representation<never>> {
    const row = await this.deletes.run(this.change(caller, id, ifMatch, lease));
    const { cursor, workspaceId } = this.changed(caller, row).meta;
    return Representation.empty({ cursor, workspaceId });
  }

  /**
   * Brings an item back from the trash, as a new version.
   * @param content of an older version, instead of what was deleted
   * @returns `undefined` if it is not in the trash, or the caller may not know of it
   * @throws as {@link update}, but for {@link ItemNotFound}
   */
  async restore(
    caller: Caller<'items:write'>,
    id: string,
    content: ReplaceItemContent | undefined,
    ifMatch: VersionCondition | undefined,
  ): Promise<Representation<ItemResponse> | undefined> {
    const older = content && { title: content.title, type: content.type, data: content.data };
    const input = { ...this.change(caller, id, ifMatch), ...older };
    const represent = (row: WriteRow) =>
      row.role === null ? undefined : this.changed(caller, row, content?.type);
    return this.post(caller, this.restores, input, represent);
  }

  /**
   * Writes for a request that may have come under an `Idempotency-Key`: then by itself, with its answer, and not combined
   * with others.
   * @param represent throws where nothing was written, or answers nothing
   */
  private async post<Input extends { id: string }, Answer extends Representation<ItemResponse> | undefined>(
    caller: Caller,
    writes: ItemLanes<Input, WriteRow>,
    input: Input,
    represent: (row: WriteRow) => Answer,
    status = 200,
  ): Promise<Answer> {
    if (!caller.claim) return represent(await writes.run(input));
    const row = await writes.runAlone(this.transactions, input, async (manager, written) => {
      const answer = represent(written);
      if (answer) await this.kept.keep(manager, caller, answer, status);
    });
    return represent(row);
  }

  private change(
    caller: Caller<'items:write'>,
    id: string,
    ifMatch: VersionCondition | undefined,
    lease?: string,
  ): ChangeInput {
    const home = this.homes.of(id);
    return {
      id,
      homes: home === undefined ? undefined : [home],
      event_id: newId(),
      principal_id: caller.id,
      if_match: ifMatch === '*' ? undefined : ifMatch,
      conditional: ifMatch !== undefined,
      writable: writableTypes(caller),
      lease,
    };
  }

  /** @param becomes the type that was asked for, if one was */
  private changed(caller: Caller, row: WriteRow, becomes?: string): Representation<ItemResponse> {
    if (row.role === null) throw new ItemNotFound();
    const types = [row.found_type ?? undefined, becomes].filter((type) => type !== undefined);
    return this.written(caller, row, types);
  }

  /** @param types of the item, before and after */
  private written(
    caller: Caller,
    row: WriteRow,
    types: readonly string[],
    location?: (item: ItemRow) => string,
  ): Representation<ItemResponse> {
    if (row.seq === null) {
      if (row.role) refuseViewer(row.role);
      requireWritable(caller, ...types);
      if (row.lacks_if_match === 't') throw new PreconditionRequired();
      if (row.lease_lost === 't') throw new LeaseLost();
      throw new VersionMismatch(Number(row.found_version));
    }
    this.homes.remember(row.id, row.workspace_id);
    this.large.note(row.id, row.data.length);
    return new Representation(toItemResponse(row), {
      version: Number(row.version),
      cursor: formatCursor(this.epoch.current, Number(row.seq)),
      workspaceId: row.workspace_id,
      location: location?.(row),
    });
  }

  private lanes<Input extends { readonly id: string }>(
    write: CombinableWrite<Input>,
    eventType: string,
  ): ItemLanes<Input, WriteRow> {
    const lane = () =>
      new WriteCombiner<Input, WriteRow>(this.statements, write, (rows) => {
        this.announcements.announce(
          rows.filter((row) => row.seq !== null).map((row) => toItemEvent(eventType, row)),
        );
      });
    return new ItemLanes(this.large, lane(), lane());
  }
}

function refuseViewer(role: Role): void {
  if (!may(role, 'items:write')) throw new Forbidden('A viewer cannot write items.');
}
