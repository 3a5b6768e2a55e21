import type { Principal } from '../common/access.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import type { StreamEvent } from '../events/stream-event.js';
import {
  AuthorisesRooms,
  type RoomAccessChange,
  type RoomAuthoriser,
  type RoomGrant,
} from '../rooms/room-authoriser.js';
import type { Role } from '../workspaces/membership.entity.js';
import { may, maySql } from '../workspaces/permissions.js';
import { ITEM_DELETED } from './items.events.js';

interface RoleRow {
  workspace_id: string;
  role: Role;
  head: string;
}

const ROLE: Statement = {
  name: 'items.room_role',
  text: `SELECT m.workspace_id, m.role, s.head FROM items i
    JOIN memberships m ON m.workspace_id = i.workspace_id AND m.principal_id = $2
    JOIN streams s ON s.id = i.workspace_id
    WHERE i.id = $1 AND ${maySql('m.role', 'items:read')}`,
};

/** `items/{id}`: what happens to one item, for the members of its workspace. */
@AuthorisesRooms('items', { scope: 'items:read' })
export class ItemRooms implements RoomAuthoriser {
  constructor(private readonly statements: PipelinedStatements) {}

  async authorise(principal: Principal, id: string): Promise<RoomGrant | undefined> {
    const [row] = await this.statements.run<RoleRow>(ROLE, [id, principal.id]);
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
