import type { EntityManager } from 'typeorm';
import type { Caller } from '../workspaces/requires.js';
import { lockWorkspace } from '../workspaces/workspace-lock.js';
import type { RoomRow } from './custom-rooms.dto.js';
import { CustomRoomNotFound, NotModerator, RoomClosed } from './custom-rooms.errors.js';
import { LOCKED_ROOM, WORKSPACE_OF } from './custom-rooms.sql.js';

/**
 * Whatever changes a room or its members begins here: behind the lock that changes of the workspace's members take,
 * too, so each decides by what the last one left. Messages do not wait for it.
 * @param subject the member that it is about
 * @throws {CustomRoomNotFound} if the caller may not see the room
 * @throws {NotModerator}
 * @throws {RoomClosed}
 */
export async function lockRoom(
  manager: EntityManager,
  caller: Caller,
  id: string,
  subject?: string,
): Promise<RoomRow> {
  const [seen] = await manager.query<{ workspace_id: string }[]>(WORKSPACE_OF, [id, caller.id]);
  if (!seen) throw new CustomRoomNotFound();
  await lockWorkspace(manager, caller, seen.workspace_id, subject);
  const rows = await manager.query<(RoomRow & { moderates: boolean })[]>(LOCKED_ROOM, [id, caller.id]);
  const [room] = rows;
  if (!room) throw new CustomRoomNotFound();
  if (!room.moderates && !(caller.orSelf && subject === caller.id)) throw new NotModerator();
  if (room.closed_at !== null) throw new RoomClosed();
  return room;
}
