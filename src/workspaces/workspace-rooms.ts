import type { Principal } from '../common/access.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { AuthorisesRooms, type RoomAuthoriser, type RoomGrant } from '../rooms/room-authoriser.js';
import type { Role } from './membership.entity.js';
import { may, maySql } from './permissions.js';

const ROLE: Statement = {
  name: 'workspaces.role',
  text: `SELECT m.role, s.head FROM memberships m JOIN streams s ON s.id = m.workspace_id
    WHERE m.workspace_id = $1 AND m.principal_id = $2 AND ${maySql('m.role', 'workspace:read')}`,
};

/** `workspaces/{id}`: everything that happens in a workspace, for its members. */
@AuthorisesRooms('workspaces', { scope: 'items:read' })
export class WorkspaceRooms implements RoomAuthoriser {
  constructor(private readonly statements: PipelinedStatements) {}

  async authorise(principal: Principal, id: string): Promise<RoomGrant | undefined> {
    const [row] = await this.statements.run<{ role: Role; head: string }>(ROLE, [id, principal.id]);
    return row && { streamId: id, mayPublish: may(row.role, 'rooms:publish'), asOf: Number(row.head) };
  }
}
