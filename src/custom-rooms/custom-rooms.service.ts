import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import type { VersionCondition } from '../common/conditional.js';
import { newId } from '../common/identifiers.js';
import { decodePageCursor, DEFAULT_LIMIT, pageOf } from '../common/pagination.js';
import { Representation } from '../common/representation.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { type Appended, AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import type { Caller } from '../workspaces/requires.js';
import { WorkspaceDeletion } from '../workspaces/workspace-deletion.js';
import { lockWorkspace, requireVersion } from '../workspaces/workspace-lock.js';
import { WorkspaceNotFound } from '../workspaces/workspaces.errors.js';
import { CustomRoom } from './custom-room.entity.js';
import {
  type CreateRoomRequest,
  type ListRoomsQuery,
  type RoomList,
  type RoomResponse,
  type RoomRow,
  toRoomResponse,
  type UpdateRoomRequest,
} from './custom-rooms.dto.js';
import { CustomRoomNotFound, TooManyOpenRooms } from './custom-rooms.errors.js';
import { ROOM_CLOSED, ROOM_CREATED, ROOM_UPDATED, roomEvent } from './custom-rooms.events.js';
import {
  CLOSE_ROOM,
  COUNT_OPEN,
  LIST_ROOMS,
  PERSONAL_WORKSPACE,
  READ_ROOM,
  RENAME_ROOM,
  WRITTEN_ROOM,
} from './custom-rooms.sql.js';
import { lockRoom } from './room-lock.js';
import { RoomMember } from './room-member.entity.js';

/** How many open rooms a workspace may have. */
const MAX_OPEN = 10_000;

/** The rooms that people make: created, renamed, closed for good. */
@Injectable()
export class CustomRoomsService implements OnModuleInit {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly appending: AppendingTransactions,
    private readonly epoch: Epoch,
    private readonly kept: KeptAnswers,
    private readonly audit: AuditTrail,
    private readonly workspaceDeletion: WorkspaceDeletion,
  ) {}

  onModuleInit(): void {
    this.workspaceDeletion.add(async (manager, workspaceId) => {
      await manager.delete(RoomMember, { workspaceId });
      await manager.delete(CustomRoom, { workspaceId });
    });
  }

  /**
   * Creates a room, of which the caller is the first moderator.
   * @throws {WorkspaceNotFound}
   * @throws {import('../common/problem.js').Forbidden} for a viewer
   * @throws {TooManyOpenRooms}
   */
  async create(
    caller: Caller<'rooms:create'>,
    { name, visibility, workspaceId: named }: CreateRoomRequest,
  ): Promise<Representation<RoomResponse>> {
    const id = newId();
    const represent = ({ answer, events }: Appended<RoomRow>) =>
      this.represent(answer, events[0].seq, `/v1/rooms/${id}`);
    const work = async (manager: EntityManager) => {
      const workspace = await lockWorkspace(manager, caller, named ?? (await personal(manager, caller.id)));
      const [{ open }] = await manager.query<[{ open: number }]>(COUNT_OPEN, [workspace.id]);
      if (open >= MAX_OPEN) throw new TooManyOpenRooms(MAX_OPEN);
      const by = { createdBy: caller.id, updatedBy: caller.id };
      await manager.insert(CustomRoom, { id, workspaceId: workspace.id, name, visibility, ...by });
      const member = { roomId: id, workspaceId: workspace.id, principalId: caller.id };
      await manager.insert(RoomMember, { ...member, role: 'moderator' });
      const answer = await written(manager, id);
      return { answer, events: [roomEvent(ROOM_CREATED, caller.id, answer)] };
    };
    return represent(await this.appending.run(work, this.kept.last(caller, represent)));
  }

  /** @throws {CustomRoomNotFound} */
  async read(caller: Caller<'rooms:read'>, id: string): Promise<Representation<RoomResponse>> {
    const [row] = await this.statements.run<RoomRow & { head: string }>(READ_ROOM, [id, caller.id]);
    if (!row) throw new CustomRoomNotFound();
    return this.represent(row, Number(row.head));
  }

  /**
   * The rooms of a workspace that the caller may see, newest first.
   * @throws {WorkspaceNotFound}
   */
  async list(caller: Caller<'rooms:read'>, query: ListRoomsQuery): Promise<Representation<RoomList>> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const rows = await this.statements.run<RoomRow & { head: string }>(LIST_ROOMS, [
      caller.id,
      query.workspaceId ?? caller.agent?.workspaceId ?? null,
      decodePageCursor(query.cursor),
      limit + 1,
      query.closed ?? 'false',
    ]);
    const [first] = rows;
    if (!first) throw new WorkspaceNotFound();
    const found = (first.id as string | null) === null ? [] : rows;
    const page = pageOf(found, limit, toRoomResponse, ({ id }) => id);
    const cursor = formatCursor(this.epoch.current, Number(first.head));
    return Representation.of(page, { cursor });
  }

  /**
   * Renames a room.
   * @throws as {@link lockRoom}
   * @throws {import('../common/problem.js').VersionMismatch} if `ifMatch` does not hold
   */
  async update(
    caller: Caller<'rooms:moderate'>,
    id: string,
    { name }: UpdateRoomRequest,
    ifMatch: VersionCondition | undefined,
  ): Promise<Representation<RoomResponse>> {
    const { answer: row, events } = await this.appending.run(async (manager) => {
      const room = await lockRoom(manager, caller, id);
      requireVersion(Number(room.version), ifMatch);
      await manager.query(RENAME_ROOM, [id, name ?? room.name, caller.id]);
      const answer = await written(manager, id);
      return { answer, events: [roomEvent(ROOM_UPDATED, caller.id, answer)] };
    });
    return this.represent(row, events[0].seq);
  }

  /**
   * Closes a room for good: everybody in it hears that and leaves. What was said stays, for those who could read it.
   * @returns the cursor of the end
   * @throws as {@link update}
   */
  async close(
    caller: Caller<'rooms:moderate'>,
    id: string,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<never>> {
    const { events } = await this.appending.run(async (manager) => {
      const room = await lockRoom(manager, caller, id);
      requireVersion(Number(room.version), ifMatch);
      await manager.query(CLOSE_ROOM, [id, caller.id]);
      const entry = { client, workspaceId: room.workspace_id, principalId: caller.id };
      await this.audit.record({ action: 'room.closed', ...entry, detail: { roomId: id } }, manager);
      const closed = await written(manager, id);
      return { answer: undefined, events: [roomEvent(ROOM_CLOSED, caller.id, closed)], takesAccess: true };
    });
    return Representation.empty({ cursor: formatCursor(this.epoch.current, events[0].seq) });
  }

  private represent(row: RoomRow, seq: number, location?: string): Representation<RoomResponse> {
    return Representation.of(toRoomResponse(row), {
      version: Number(row.version),
      cursor: formatCursor(this.epoch.current, seq),
      workspaceId: row.workspace_id,
      location,
    });
  }
}

/** @throws {WorkspaceNotFound} for an agent, or somebody who gave it away */
async function personal(manager: EntityManager, principalId: string): Promise<string> {
  const [workspace] = await manager.query<{ id: string }[]>(PERSONAL_WORKSPACE, [principalId]);
  if (!workspace) throw new WorkspaceNotFound();
  return workspace.id;
}

async function written(manager: EntityManager, id: string): Promise<RoomRow> {
  const [row] = await manager.query<RoomRow[]>(WRITTEN_ROOM, [id]);
  return row;
}
