import type { Principal } from '../common/access.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { AuthorisesRooms, type RoomAuthoriser, type RoomGrant } from '../rooms/room-authoriser.js';
import type { Role } from '../workspaces/membership.entity.js';
import { may } from '../workspaces/permissions.js';
import { AUTHORISE } from './agents.sql.js';

/** `agents/{id}`: what happens to one agent, for itself and the members of its workspace. */
@AuthorisesRooms('agents', { scope: 'agents:read', self: true })
export class AgentRooms implements RoomAuthoriser {
  constructor(private readonly statements: PipelinedStatements) {}

  async authorise(principal: Principal, id: string): Promise<RoomGrant | undefined> {
    const [row] = await this.statements.run<{ workspace_id: string; role: Role; head: string }>(AUTHORISE, [
      id,
      principal.id,
    ]);
    return (
      row && {
        streamId: row.workspace_id,
        mayPublish: may(row.role, 'rooms:publish'),
        asOf: Number(row.head),
      }
    );
  }
}
