import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import type { VersionCondition } from '../common/conditional.js';
import { decodePageCursor, DEFAULT_LIMIT, pageOf, type PageQuery } from '../common/pagination.js';
import { Representation } from '../common/representation.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { type Appended, AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import type { NewEvent } from '../events/event-appends.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import { type EndingMemberships, MembershipEndings } from '../workspaces/membership-endings.js';
import type { Caller } from '../workspaces/requires.js';
import { requireVersion } from '../workspaces/workspace-lock.js';
import { AlreadyMember, MemberNotFound } from '../workspaces/workspaces.errors.js';
import type { RoomRow } from './custom-rooms.dto.js';
import {
  CustomRoomNotFound,
  LastModerator,
  RoomMemberNotFound,
  TooManyRoomMembers,
} from './custom-rooms.errors.js';
import {
  ROOM_MEMBER_ADDED,
  ROOM_MEMBER_REMOVED,
  ROOM_MEMBER_UPDATED,
  roomMemberEvent,
  silences,
} from './custom-rooms.events.js';
import { lockRoom } from './room-lock.js';
import type { RoomRole } from './room-member.entity.js';
import {
  type AddRoomMemberRequest,
  type RoomMemberList,
  type RoomMemberResponse,
  type RoomMemberRow,
  toRoomMemberResponse,
} from './room-members.dto.js';
import {
  ADD_ROOM_MEMBER,
  COUNT_ROOM_MEMBERS,
  LIST_ROOM_MEMBERS,
  OTHER_MODERATOR,
  READ_ROOM_MEMBER,
  REMOVE_FROM_ROOMS,
  REMOVE_ROOM_MEMBER,
  UPDATE_ROOM_MEMBER,
} from './room-members.sql.js';

/** How many members a room may have. */
const MAX_MEMBERS = 10_000;

/** Who has which role in a room. Each change is an event of the room, and takes effect in the stream's order. */
@Injectable()
export class RoomMembersService implements OnModuleInit {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly appending: AppendingTransactions,
    private readonly epoch: Epoch,
    private readonly kept: KeptAnswers,
    private readonly audit: AuditTrail,
    private readonly endings: MembershipEndings,
  ) {}

  onModuleInit(): void {
    this.endings.add(leaveRooms);
  }

  /**
   * Those with a role of their own in a room, in the order of their ids.
   * @throws {CustomRoomNotFound}
   */
  async list(caller: Caller<'rooms:read'>, roomId: string, query: PageQuery): Promise<RoomMemberList> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const rows = await this.statements.run<RoomMemberRow>(LIST_ROOM_MEMBERS, [
      roomId,
      caller.id,
      decodePageCursor(query.cursor),
      limit + 1,
    ]);
    const [first] = rows;
    if (!first) throw new CustomRoomNotFound();
    const found = (first.principal_id as string | null) === null ? [] : rows;
    return pageOf(found, limit, toRoomMemberResponse, ({ principalId }) => principalId);
  }

  /**
   * Gives a member of the workspace a role in a room.
   * @throws {MemberNotFound} if it is no member of the workspace
   * @throws {AlreadyMember}
   * @throws {TooManyRoomMembers}
   * @throws as {@link lockRoom}
   */
  async add(
    caller: Caller<'rooms:moderate'>,
    roomId: string,
    { principalId, role }: AddRoomMemberRequest,
    client: ClientInfo,
  ): Promise<Representation<RoomMemberResponse>> {
    const work = async (manager: EntityManager) => {
      const room = await lockRoom(manager, caller, roomId);
      if (await find(manager, roomId, principalId)) throw new AlreadyMember();
      const [{ members }] = await manager.query<[{ members: number }]>(COUNT_ROOM_MEMBERS, [roomId]);
      if (members >= MAX_MEMBERS) throw new TooManyRoomMembers(MAX_MEMBERS);
      await manager.query(ADD_ROOM_MEMBER, [roomId, room.workspace_id, principalId, role]);
      const answer = await find(manager, roomId, principalId);
      if (!answer) throw new MemberNotFound();
      await this.record('room-member.added', caller, room, answer, { to: role }, client, manager);
      const events = [roomMemberEvent(ROOM_MEMBER_ADDED, caller.id, room, answer)];
      return { answer, events, takesAccess: silences(role) };
    };
    const represent = (done: Appended<RoomMemberRow>) => this.represent(done);
    return represent(await this.appending.run(work, this.kept.last(caller, represent)));
  }

  /**
   * Gives a member another role.
   * @throws {RoomMemberNotFound}
   * @throws {LastModerator}
   * @throws as {@link lockRoom}
   * @throws {import('../common/problem.js').VersionMismatch} if `ifMatch` does not hold
   */
  async update(
    caller: Caller<'rooms:moderate'>,
    roomId: string,
    principalId: string,
    role: RoomRole,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<RoomMemberResponse>> {
    const appended = await this.appending.run(async (manager) => {
      const room = await lockRoom(manager, caller, roomId);
      const before = await member(manager, roomId, principalId);
      requireVersion(Number(before.version), ifMatch);
      if (role !== 'moderator') await requireOtherModerator(manager, roomId, before);
      await manager.query(UPDATE_ROOM_MEMBER, [roomId, principalId, role]);
      const answer = await member(manager, roomId, principalId);
      const detail = { from: before.role, to: role };
      await this.record('room-member.updated', caller, room, answer, detail, client, manager);
      const events = [roomMemberEvent(ROOM_MEMBER_UPDATED, caller.id, room, answer)];
      return { answer, events, takesAccess: true };
    });
    return this.represent(appended);
  }

  /**
   * Takes somebody's role in a room away; one's own: leaves.
   * @returns the cursor of the end: nothing after it reaches the one who is gone
   * @throws as {@link update}
   */
  async remove(
    caller: Caller<'rooms:moderate'>,
    roomId: string,
    principalId: string,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<never>> {
    const { events } = await this.appending.run(async (manager) => {
      const room = await lockRoom(manager, caller, roomId, principalId);
      const before = await member(manager, roomId, principalId);
      requireVersion(Number(before.version), ifMatch);
      await requireOtherModerator(manager, roomId, before);
      await manager.query(REMOVE_ROOM_MEMBER, [roomId, principalId]);
      await this.record('room-member.removed', caller, room, before, { from: before.role }, client, manager);
      const last = { ...before, version: String(Number(before.version) + 1) };
      const removed = roomMemberEvent(ROOM_MEMBER_REMOVED, caller.id, room, last);
      return { answer: undefined, events: [removed], takesAccess: true };
    });
    return Representation.empty({ cursor: formatCursor(this.epoch.current, events[0].seq) });
  }

  private represent({ answer, events }: Appended<RoomMemberRow>): Representation<RoomMemberResponse> {
    return Representation.of(toRoomMemberResponse(answer), {
      version: Number(answer.version),
      cursor: formatCursor(this.epoch.current, events[0].seq),
    });
  }

  private async record(
    action: string,
    caller: Caller,
    room: RoomRow,
    { principal_id: userId }: RoomMemberRow,
    roles: Readonly<Record<string, string>>,
    client: ClientInfo,
    manager: EntityManager,
  ): Promise<void> {
    const entry = { action, client, userId, workspaceId: room.workspace_id, principalId: caller.id };
    await this.audit.record({ ...entry, detail: { roomId: room.id, ...roles } }, manager);
  }
}

async function find(
  manager: EntityManager,
  roomId: string,
  principalId: string,
): Promise<RoomMemberRow | undefined> {
  const [row] = await manager.query<RoomMemberRow[]>(READ_ROOM_MEMBER, [roomId, principalId]);
  return row;
}

async function member(manager: EntityManager, roomId: string, principalId: string): Promise<RoomMemberRow> {
  const row = await find(manager, roomId, principalId);
  if (!row) throw new RoomMemberNotFound();
  return row;
}

/** A room keeps a moderator. Who leaves the workspace goes all the same: then its admins look after the room. */
async function requireOtherModerator(
  manager: EntityManager,
  roomId: string,
  { principal_id, role }: RoomMemberRow,
): Promise<void> {
  if (role !== 'moderator') return;
  const others = await manager.query<unknown[]>(OTHER_MODERATOR, [roomId, principal_id]);
  if (others.length === 0) throw new LastModerator();
}

interface LostRoom {
  id: string;
  workspace_id: string;
  open: boolean;
  principal_id: string;
  role: RoomRole;
  version: string;
}

/** Whoever loses the workspace loses its rooms; those who are still there are told. A closed room says no more. */
async function leaveRooms(
  manager: EntityManager,
  { principalId, workspaceIds, endedBy }: EndingMemberships,
): Promise<NewEvent[]> {
  const [lost] = await manager.query<[LostRoom[], number]>(REMOVE_FROM_ROOMS, [principalId, workspaceIds]);
  return lost
    .filter(({ open }) => open)
    .map((room) => roomMemberEvent(ROOM_MEMBER_REMOVED, endedBy, room, room));
}
