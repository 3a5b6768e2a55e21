import type { NewEvent } from '../events/event-appends.js';
import type { StreamEvent } from '../events/stream-event.js';
import type { RoomAccessChange } from '../rooms/room-authoriser.js';
import { type RoomRow, toRoomResponse } from './custom-rooms.dto.js';
import type { RoomRole } from './room-member.entity.js';

export const ROOM_CREATED = 'room.created';
export const ROOM_UPDATED = 'room.updated';
export const ROOM_CLOSED = 'room.closed';
export const ROOM_MEMBER_ADDED = 'room.member_added';
export const ROOM_MEMBER_UPDATED = 'room.member_updated';
export const ROOM_MEMBER_REMOVED = 'room.member_removed';

/** The name of a room that people made, and the subject of its events: nobody hears them elsewhere. */
export const customRoom = (id: string): string => `rooms/${id}`;

/** What the event of a room's member carries: the principal's id with the version of the membership. */
export interface RoomMemberEventData {
  readonly id: string;
  readonly version: number;
  readonly roomId: string;
  readonly workspaceId: string;
  readonly principalId: string;
  readonly role: RoomRole;
}

/** An event about a room, as it is after it. */
export function roomEvent(type: string, principalId: string, row: RoomRow): NewEvent {
  return {
    streamId: row.workspace_id,
    subject: customRoom(row.id),
    type,
    principalId,
    data: toRoomResponse(row),
  };
}

/** An event about one member of a room, as the membership is after it. */
export function roomMemberEvent(
  type: string,
  principalId: string,
  room: { readonly id: string; readonly workspace_id: string },
  member: { readonly principal_id: string; readonly role: RoomRole; readonly version: string },
): NewEvent {
  const { id: roomId, workspace_id: workspaceId } = room;
  const { principal_id: id, role } = member;
  const version = Number(member.version);
  const data: RoomMemberEventData = { id, version, roomId, workspaceId, principalId: id, role };
  return { streamId: workspaceId, subject: customRoom(roomId), type, principalId, data };
}

/** Whether somebody who gets a role may do less than before: in a public room, a listener is silenced. */
export const silences = (role: RoomRole): boolean => role === 'listener';

/** What an event of a room takes from somebody; the events of exactly these changes take access in the stream. */
export function roomAccessChange(event: StreamEvent): RoomAccessChange | undefined {
  switch (event.type) {
    case ROOM_CLOSED:
      return { kind: 'room-closed' };
    case ROOM_MEMBER_REMOVED:
      return { kind: 'out-of-room', principalId: memberIn(event).principalId };
    case ROOM_MEMBER_UPDATED:
      return { kind: 'role-changed', principalId: memberIn(event).principalId };
    case ROOM_MEMBER_ADDED: {
      const { principalId, role } = memberIn(event);
      return silences(role) ? { kind: 'role-changed', principalId } : undefined;
    }
    default:
      return undefined;
  }
}

const memberIn = (event: StreamEvent): RoomMemberEventData => JSON.parse(event.data) as RoomMemberEventData;
