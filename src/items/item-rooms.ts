import type { Principal } from '../common/access.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { AuthorisesRooms, type RoomAuthoriser, type RoomGrant } from '../rooms/room-authoriser.js';

const ROLE: Statement = {
  name: 'items.room_role',
  text: `SELECT m.workspace_id, m.role FROM items i
    JOIN memberships m ON m.workspace_id = i.workspace_id AND m.principal_id = $2
    WHERE i.id = $1`,
};

/** `items/{id}`: what happens to one item, for the members of its workspace. */
@AuthorisesRooms('items')
export class ItemRooms implements RoomAuthoriser {
  constructor(private readonly statements: PipelinedStatements) {}

  async authorise(principal: Principal, id: string): Promise<RoomGrant | undefined> {
    const [row] = await this.statements.run<{ workspace_id: string; role: string }>(ROLE, [id, principal.id]);
    return row && { streamId: row.workspace_id, mayPublish: row.role !== 'viewer' };
  }
}
