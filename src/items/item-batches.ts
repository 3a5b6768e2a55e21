import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { newId } from '../common/identifiers.js';
import type { JsonObject, JsonValue } from '../common/json.js';
import { CopyAllowance, JsonPatchDocument } from '../common/json-patch.js';
import { mergePatch } from '../common/merge-patch.js';
import { Forbidden, PreconditionRequired } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { requireWritable } from '../common/scopes.js';
import { AtriumConfig } from '../config/config.js';
import { type Appended, type Appending, AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import type { NewEvent } from '../events/event-appends.js';
import type { StreamEvent } from '../events/stream-event.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import type { Role } from '../workspaces/membership.entity.js';
import { may } from '../workspaces/permissions.js';
import type { Caller } from '../workspaces/requires.js';
import { requireVersion } from '../workspaces/workspace-lock.js';
import {
  type BatchOperation,
  type BatchRequest,
  type BatchResponse,
  readOperations,
} from './item-batch.dto.js';
import {
  DELETE_BATCH,
  INSERT_BATCH,
  LOCK_ITEMS,
  LOCK_WORKSPACES,
  READ_ROLES,
  UPDATE_BATCH,
} from './item-batch.sql.js';
import { type ItemRow, toItemResponse } from './items.dto.js';
import { BatchFailed, BatchTooLarge, ItemNotFound, ItemWorkspaceNotFound, tooLarge } from './items.errors.js';
import { ITEM_CREATED, ITEM_DELETED, ITEM_UPDATED, itemRoom } from './items.events.js';
import { patchedContent } from './patched-content.js';

interface WorkspaceRow {
  readonly id: string;
  readonly role: Role;
  readonly requireIfMatch: boolean;
  readonly personal: boolean;
  /** PostgreSQL's text, of the transaction. */
  readonly now: string;
}

/** `data` is null where there is too much of it. */
type LockedRow = Omit<ItemRow, 'data'> & { readonly data: string | null };
const isWhole = (row: LockedRow): row is ItemRow => row.data !== null;

interface Step {
  readonly result: string;
  readonly event: NewEvent;
}

/** How many times as long as a request the items after its operations may be together: each is stored, told and answered. */
const MOST_WRITTEN = 8;
const EVENT_TYPES = { create: ITEM_CREATED, update: ITEM_UPDATED, delete: ITEM_DELETED };

/** Many writes of items in one transaction: all of them, or none. */
@Injectable()
export class ItemBatches {
  private readonly limitBytes: number;

  constructor(
    private readonly appending: AppendingTransactions,
    private readonly epoch: Epoch,
    private readonly kept: KeptAnswers,
    config: AtriumConfig,
  ) {
    this.limitBytes = config.http.bodyLimitBytes;
  }

  /**
   * Does the operations one after another, each on what those before it have left, and appends one event for each.
   * @throws {BatchFailed} with a pointer to the first that fails; nothing was written
   * @throws {BatchTooLarge}
   */
  async run(caller: Caller<'items:write'>, request: BatchRequest): Promise<Representation<BatchResponse>> {
    const operations = readOperations(request);
    const represent = ({ answer, events }: Appended<Step[]>): Representation<BatchResponse> =>
      new Representation(`{"results":[${answer.map(({ result }) => result).join(',')}]}`, {
        cursor: this.cursorOf(events),
      });
    const work = (manager: EntityManager) => this.write(manager, caller, operations);
    return represent(await this.appending.run(work, this.kept.last(caller, represent, 200)));
  }

  private async write(
    manager: EntityManager,
    caller: Caller<'items:write'>,
    operations: readonly BatchOperation[],
  ): Promise<Appending<Step[]>> {
    const state = await BatchState.read(manager, caller, operations, this.limitBytes);
    const answer = operations.map((operation, n) => BatchFailed.at(n, '', () => state.step(operation, n)));
    await written(state.write(manager));
    return { answer, events: answer.map(({ event }) => event) };
  }

  /** Where the events have brought their stream, if it is one. */
  private cursorOf(events: readonly StreamEvent[]): string | undefined {
    const [first] = events;
    const inOneStream = events.every(({ streamId }) => streamId === first.streamId);
    return inOneStream ? formatCursor(this.epoch.current, events[events.length - 1].seq) : undefined;
  }
}

/** What a batch works on: locked in the database, changed in memory, written back at the end. */
class BatchState {
  private readonly created = new Set<string>();
  private readonly changed = new Set<string>();
  private readonly deleted = new Map<string, ItemRow>();
  private readonly copies = new CopyAllowance();
  private writtenBytes = 0;

  private constructor(
    private readonly caller: Caller,
    private readonly workspaces: ReadonlyMap<string, WorkspaceRow>,
    private readonly items: Map<string, ItemRow>,
    private readonly limitBytes: number,
  ) {}

  static async read(
    manager: EntityManager,
    caller: Caller,
    operations: readonly BatchOperation[],
    limitBytes: number,
  ): Promise<BatchState> {
    const ids = operations.flatMap((operation) => (operation.op === 'create' ? [] : [operation.id]));
    const named = operations.flatMap((operation) =>
      operation.op === 'create' && operation.item.workspaceId !== undefined
        ? [operation.item.workspaceId]
        : [],
    );
    const inOwn = operations.some(({ op, ...of }) => op === 'create' && 'item' in of && !of.item.workspaceId);
    if (inOwn && caller.agent) named.push(caller.agent.workspaceId);
    const locked = await manager.query<{ id: string }[]>(LOCK_WORKSPACES, [caller.id, ids, named, inOwn]);
    const workspaceIds = locked.map(({ id }) => id);
    const workspaces = await manager.query<WorkspaceRow[]>(READ_ROLES, [caller.id, workspaceIds]);
    const visible = workspaces.map(({ id }) => id);
    const most = MOST_WRITTEN * limitBytes;
    const items = await manager.query<LockedRow[]>(LOCK_ITEMS, [ids, visible, most]);
    if (!items.every(isWhole)) throw new BatchTooLarge(most);
    return new BatchState(
      caller,
      new Map(workspaces.map((workspace) => [workspace.id, workspace])),
      new Map(items.map((item) => [item.id, item])),
      limitBytes,
    );
  }

  step(operation: BatchOperation, n: number): Step {
    const most = MOST_WRITTEN * this.limitBytes;
    if (this.writtenBytes >= most) throw new BatchTooLarge(most);
    const row = operation.op === 'create' ? this.create(operation) : this.change(operation, n);
    const json = toItemResponse(row);
    this.writtenBytes += json.length;
    const { op } = operation;
    const item = op === 'delete' ? '' : `,"item":${json}`;
    return {
      result: `{"op":"${op}","id":"${row.id}","version":${row.version}${item}}`,
      event: {
        streamId: row.workspace_id,
        subject: itemRoom(row.id),
        type: EVENT_TYPES[op],
        principalId: this.caller.id,
        data: JSON.parse(json) as unknown,
      },
    };
  }

  /** One statement for each kind of write. */
  async write(manager: EntityManager): Promise<void> {
    const write = async (statement: string, rows: readonly ItemRow[]): Promise<void> => {
      if (rows.length > 0) await manager.query(statement, [parameter(rows), this.caller.id]);
    };
    await write(INSERT_BATCH, this.rows(this.created));
    await write(UPDATE_BATCH, this.rows(this.changed));
    await write(DELETE_BATCH, [...this.deleted.values()]);
  }

  private create({ item }: BatchOperation & { op: 'create' }): ItemRow {
    const workspaceId = item.workspaceId ?? this.caller.agent?.workspaceId;
    const workspace =
      workspaceId === undefined
        ? [...this.workspaces.values()].find(({ personal }) => personal)
        : this.workspaces.get(workspaceId.toLowerCase());
    if (!workspace) throw new ItemWorkspaceNotFound();
    refuseViewer(workspace);
    requireWritable(this.caller, item.type);
    const row: ItemRow = {
      id: newId(),
      workspace_id: workspace.id,
      type: item.type,
      title: item.title,
      data: JSON.stringify(item.data),
      version: '1',
      created_at: workspace.now,
      created_by: this.caller.id,
      updated_at: workspace.now,
      updated_by: this.caller.id,
    };
    this.items.set(row.id, row);
    this.created.add(row.id);
    return row;
  }

  private change(operation: Exclude<BatchOperation, { op: 'create' }>, n: number): ItemRow {
    const { id, ifMatch } = operation;
    const before = this.items.get(id);
    const workspace = before && this.workspaces.get(before.workspace_id);
    if (!before || !workspace) throw new ItemNotFound();
    refuseViewer(workspace);
    requireWritable(this.caller, before.type);
    if (ifMatch === undefined && workspace.requireIfMatch) throw new PreconditionRequired();
    requireVersion(Number(before.version), ifMatch);
    const content = operation.op === 'update' ? this.patched(before, operation.patch, n) : {};
    const row: ItemRow = {
      ...before,
      ...content,
      version: String(Number(before.version) + 1),
      updated_at: workspace.now,
      updated_by: this.caller.id,
    };
    requireWritable(this.caller, row.type);
    if (operation.op === 'update') {
      this.items.set(id, row);
      this.changed.add(id);
    } else {
      this.items.delete(id);
      this.changed.delete(id);
      this.deleted.set(id, row);
    }
    return row;
  }

  private patched(
    before: ItemRow,
    patch: (BatchOperation & { op: 'update' })['patch'],
    n: number,
  ): Pick<ItemRow, 'title' | 'type' | 'data'> {
    if (patch instanceof JsonPatchDocument) {
      const content = BatchFailed.at(n, '/patch', () =>
        patchedContent(before, patch, this.limitBytes, this.copies),
      );
      return { title: content.title, type: content.type, data: JSON.stringify(content.data) };
    }
    const { title = before.title, type = before.type, data } = patch;
    const merged =
      data === undefined
        ? before.data
        : JSON.stringify(mergePatch(JSON.parse(before.data) as JsonValue, data));
    return { title, type, data: merged };
  }

  private rows(ids: ReadonlySet<string>): ItemRow[] {
    return [...ids].flatMap((id) => this.items.get(id) ?? []);
  }
}

function parameter(rows: readonly ItemRow[]): string {
  return JSON.stringify(
    rows.map((row) => ({ ...row, data: JSON.parse(row.data) as JsonObject, version: Number(row.version) })),
  );
}

/** @throws {import('./items.errors.js').ItemTooLarge} */
async function written(write: Promise<void>): Promise<void> {
  await write.catch((error: unknown) => Promise.reject(tooLarge(error) as Error));
}

function refuseViewer({ role }: WorkspaceRow): void {
  if (!may(role, 'items:write')) throw new Forbidden('A viewer cannot write items.');
}
