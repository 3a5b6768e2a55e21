import type { FollowedStream } from '../events/followed-stream.js';
import type { StreamEvent } from '../events/stream-event.js';
import { FIRST_PAGE_EVENTS } from '../events/streams.js';
import { EventFrames } from './frame.js';
import type { RoomGrant } from './room-authoriser.js';
import type { Subscriber } from './subscriber.js';
import type { Wire } from './wire.js';

const WORKSPACES = 'workspaces/';
/** Events of custom rooms stay in their room: not every member of the workspace may be in it. */
const CUSTOM = 'rooms/';

export const workspaceRoom = (streamId: string): string => `${WORKSPACES}${streamId}`;

/** Whether an event of a room is heard in its workspace's room as well. */
export const isHeardInWorkspace = (subject: string): boolean => !subject.startsWith(CUSTOM);

/** Whether a room is a workspace's own, which hears what happens in others as well. */
export const isWorkspaceRoom = (name: string): boolean => name.startsWith(WORKSPACES);

/** Whether an event with this subject is heard in a room of its stream. */
export const isHeardIn = (room: string, subject: string): boolean =>
  subject === room || (isWorkspaceRoom(room) && isHeardInWorkspace(subject));

/** One topic within a stream, as far as subscribers of this instance are in it. */
export class Room {
  /** Those who are handed each event as it comes. */
  readonly live = new Set<Subscription>();
  private readonly frames = new Map<Wire, EventFrames>();
  /** All of them, live or catching up. */
  readonly members = new Set<Subscription>();

  constructor(
    readonly name: string,
    readonly stream: FollowedStream,
    private readonly cursorOf: (event: StreamEvent) => string,
  ) {}

  /** The bytes of its events on one kind of wire. */
  framesOn(wire: Wire): EventFrames {
    let frames = this.frames.get(wire);
    if (!frames) this.frames.set(wire, (frames = new EventFrames(wire, this.name, this.cursorOf)));
    return frames;
  }

  get isWorkspace(): boolean {
    return isWorkspaceRoom(this.name);
  }

  /** Nobody speaks there any more without being asked who it is. */
  silence(): void {
    for (const subscription of this.members)
      subscription.grant = { ...subscription.grant, mayPublish: false };
  }

  includes(event: StreamEvent): boolean {
    return isHeardIn(this.name, event.subject);
  }
}

/** One subscriber in one room. Live ones are handed each event; the others catch up from the stream first. */
export class Subscription {
  active = true;
  /** How many events its next page should look at. */
  pageEvents = FIRST_PAGE_EVENTS;
  /** Where its principal lost the room, while it had not heard everything before that. */
  ending: { readonly seq: number; readonly code: string } | undefined;
  /** The version of the room's presence that it was told in an answer. */
  presenceSeen = 0;

  /** @param position everything up to this `seq` has been sent; kept while not live */
  constructor(
    readonly subscriber: Subscriber,
    readonly room: Room,
    public grant: RoomGrant,
    public position: number,
  ) {}

  /** The grant, unless somebody in the workspace has lost a right since: then it must be asked for again. */
  get currentGrant(): RoomGrant | undefined {
    return this.grant.asOf >= this.room.stream.accessSeq ? this.grant : undefined;
  }
}
