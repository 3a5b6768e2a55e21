import type { Principal } from '../common/access.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { AuthorisesRooms, type RoomAuthoriser, type RoomGrant } from '../rooms/room-authoriser.js';
import type { Role } from './membership.entity.js';

const ROLE: Statement = {
  name: 'workspaces.role',
  text: `SELECT role FROM memberships WHERE workspace_id = $1 AND principal_id = $2`,
};

/** `workspaces/{id}`: everything that happens in a workspace, for its members. */
@AuthorisesRooms('workspaces')
export class WorkspaceRooms implements RoomAuthoriser {
  constructor(private readonly statements: PipelinedStatements) {}

  async authorise(principal: Principal, id: string): Promise<RoomGrant | undefined> {
    const [row] = await this.statements.run<{ role: Role }>(ROLE, [id, principal.id]);
    return row && { streamId: id, mayPublish: row.role !== 'viewer' };
  }
}
