import type { FollowedStream } from '../events/followed-stream.js';
import type { StreamEvent } from '../events/stream-event.js';
import { FIRST_PAGE_EVENTS } from '../events/streams.js';
import type { Connection } from './connection.js';
import { EventFrames } from './frame.js';
import type { RoomGrant } from './room-authoriser.js';

const WORKSPACES = 'workspaces/';
/** Events of custom rooms stay in their room: not every member of the workspace may be in it. */
const CUSTOM = 'rooms/';

export const workspaceRoom = (streamId: string): string => `${WORKSPACES}${streamId}`;

/** Whether an event of a room is heard in its workspace's room as well. */
export const isHeardInWorkspace = (subject: string): boolean => !subject.startsWith(CUSTOM);

/** One topic within a stream, as far as sockets of this instance are in it. */
export class Room {
  /** Those who are handed each event as it comes. */
  readonly live = new Set<Subscription>();
  readonly frames: EventFrames;
  /** All of them, live or catching up. */
  readonly members = new Set<Subscription>();

  constructor(
    readonly name: string,
    readonly stream: FollowedStream,
    cursorOf: (event: StreamEvent) => string,
  ) {
    this.frames = new EventFrames(name, cursorOf);
  }

  get isWorkspace(): boolean {
    return this.name.startsWith(WORKSPACES);
  }

  includes(event: StreamEvent): boolean {
    return event.subject === this.name || (this.isWorkspace && isHeardInWorkspace(event.subject));
  }
}

/** One socket in one room. Live ones are handed each event; the others catch up from the stream first. */
export class Subscription {
  active = true;
  /** How many events its next page should look at. */
  pageEvents = FIRST_PAGE_EVENTS;

  /** @param position everything up to this `seq` has been sent; kept while not live */
  constructor(
    readonly connection: Connection,
    readonly room: Room,
    public grant: RoomGrant,
    public position: number,
  ) {}

  /** The grant, unless somebody in the workspace has lost a right since: then it must be asked for again. */
  get currentGrant(): RoomGrant | undefined {
    return this.grant.asOf >= this.room.stream.accessSeq ? this.grant : undefined;
  }
}
