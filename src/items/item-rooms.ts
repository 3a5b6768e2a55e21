import type { Principal } from '../common/access.js';
import type { StreamEvent } from '../events/stream-event.js';
import {
  AuthorisesRooms,
  type RoomAccessChange,
  type RoomAuthoriser,
  type RoomGrant,
} from '../rooms/room-authoriser.js';
import type { Role } from '../workspaces/membership.entity.js';
import { may, maySql } from '../workspaces/permissions.js';
import { ItemHomes, itemQuestion } from './item-homes.js';
import { ITEM_DELETED } from './items.events.js';

interface RoleRow {
  workspace_id: string;
  role: Role;
  head: string;
}

const ROLE = itemQuestion(
  'items.room_role',
  (meant) => `SELECT m.workspace_id, m.role, s.head FROM items i
    JOIN memberships m ON m.workspace_id = i.workspace_id AND m.principal_id = $2
    JOIN streams s ON s.id = i.workspace_id
    WHERE ${meant} AND ${maySql('m.role', 'items:read')}`,
);

/** `items/{id}`: what happens to one item, for the members of its workspace. */
@AuthorisesRooms('items', { scope: 'items:read' })
export class ItemRooms implements RoomAuthoriser {
  constructor(private readonly homes: ItemHomes) {}

  async authorise(principal: Principal, id: string): Promise<RoomGrant | undefined> {
    const row = await this.homes.ask<RoleRow>(ROLE, id, principal.id);
    return (
      row && {
        streamId: row.workspace_id,
        mayPublish: may(row.role, 'rooms:publish'),
        asOf: Number(row.head),
      }
    );
  }

  /** Who is there hears it when the item is restored, but there is nothing to talk in until then. */
  accessChange({ type }: StreamEvent): RoomAccessChange | undefined {
    return type === ITEM_DELETED ? { kind: 'subject-gone' } : undefined;
  }
}
