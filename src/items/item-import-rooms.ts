import type { Principal } from '../common/access.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { AuthorisesRooms, type RoomAuthoriser, type RoomGrant } from '../rooms/room-authoriser.js';
import { maySql } from '../workspaces/permissions.js';

const GRANT: Statement = {
  name: 'items.import_room',
  text: `SELECT i.workspace_id, s.head FROM item_imports i
    JOIN memberships m ON m.workspace_id = i.workspace_id AND m.principal_id = $2
    JOIN streams s ON s.id = i.workspace_id
    WHERE i.id = $1 AND ${maySql('m.role', 'items:read')}`,
};

/** `imports/{id}`: how far an import is, for the members of its workspace. Nobody speaks there. */
@AuthorisesRooms('imports', { scope: 'items:read' })
export class ItemImportRooms implements RoomAuthoriser {
  constructor(private readonly statements: PipelinedStatements) {}

  async authorise(principal: Principal, id: string): Promise<RoomGrant | undefined> {
    const [row] = await this.statements.run<{ workspace_id: string; head: string } | undefined>(GRANT, [
      id,
      principal.id,
    ]);
    return row && { streamId: row.workspace_id, mayPublish: false, asOf: Number(row.head) };
  }
}
