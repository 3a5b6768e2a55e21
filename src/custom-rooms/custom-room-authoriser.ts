import type { Principal } from '../common/access.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import type { StreamEvent } from '../events/stream-event.js';
import {
  AuthorisesRooms,
  type RoomAccessChange,
  type RoomAuthoriser,
  type RoomGrant,
} from '../rooms/room-authoriser.js';
import { RoomClosed } from './custom-rooms.errors.js';
import { roomAccessChange } from './custom-rooms.events.js';
import { AUTHORISE } from './custom-rooms.sql.js';

interface GrantRow {
  workspace_id: string;
  head: string;
  closed_at: string | null;
  speaks: 't' | 'f';
}

/** `rooms/{id}`: what is said in a room, for those who are in it. A closed one can be read to its end. */
@AuthorisesRooms('rooms', { scope: 'rooms:read' })
export class CustomRoomAuthoriser implements RoomAuthoriser {
  constructor(private readonly statements: PipelinedStatements) {}

  async authorise(principal: Principal, id: string): Promise<RoomGrant | undefined> {
    const [row] = await this.statements.run<GrantRow>(AUTHORISE, [id, principal.id]);
    if (!row) return undefined;
    const closed = row.closed_at !== null;
    return {
      streamId: row.workspace_id,
      mayPublish: row.speaks === 't' && !closed,
      ...(closed && { refusal: () => new RoomClosed() }),
      asOf: Number(row.head),
    };
  }

  accessChange(event: StreamEvent): RoomAccessChange | undefined {
    return roomAccessChange(event);
  }
}
