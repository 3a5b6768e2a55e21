import type { Connection } from './connection.js';
import type { Room } from './room.js';
import type { RoomGrant } from './room-authoriser.js';

/** One socket in one room. Live ones are handed each event; the others catch up from the stream first. */
export class Subscription {
  active = true;

  /** @param position everything up to this `seq` has been sent; kept while not live */
  constructor(
    readonly connection: Connection,
    readonly room: Room,
    readonly grant: RoomGrant,
    public position: number,
  ) {}
}
