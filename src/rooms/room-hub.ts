import { Injectable, type OnModuleInit } from '@nestjs/common';
import { traces } from '../common/traces.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import type { FollowedStream } from '../events/followed-stream.js';
import type { StreamEvent } from '../events/stream-event.js';
import { type ResetReason, StreamTail } from '../events/stream-tail.js';
import { type AccessChange, accessChange } from '../workspaces/workspaces.events.js';
import { CatchUp, type Start } from './catch-up.js';
import { isHeardInWorkspace, Room, Subscription, workspaceRoom } from './room.js';
import type { RoomAccessChange, RoomGrant } from './room-authoriser.js';
import { RoomDirectory } from './room-directory.js';
import { type Present, RoomPresence } from './room-presence.js';
import type { Subscriber } from './subscriber.js';
import { oncePerWire } from './wire.js';

const NONE: ReadonlyMap<string, Subscription> = new Map();

/** What a subscriber learns when it has joined. */
export interface Joined extends Present, Omit<Start, 'position'> {
  readonly room: string;
  /** Everything after it follows. */
  readonly cursor: string;
}

/**
 * Hands the events of streams to the subscribers that follow, in order, once. One that is behind, because it
 * resumes or reads slowly, is not queued for: it keeps a position and catches up from the stream's recent
 * events or from the database, then goes live in the same turn in which nothing is missing any more.
 */
@Injectable()
export class RoomHub implements OnModuleInit {
  /** How many events were given to subscribers as they came. */
  deliveries = 0;
  private readonly rooms = new Map<string, Room>();
  /** The rooms of each subscriber, by name. */
  private readonly subscriptions = new Map<Subscriber, Map<string, Subscription>>();

  constructor(
    private readonly tail: StreamTail,
    private readonly catchUp: CatchUp,
    private readonly epoch: Epoch,
    private readonly directory: RoomDirectory,
    private readonly presence: RoomPresence,
  ) {}

  onModuleInit(): void {
    this.tail.listen(this);
  }

  /** The rooms that a subscriber is in, by name. */
  subscriptionsOf(subscriber: Subscriber): ReadonlyMap<string, Subscription> {
    return this.subscriptions.get(subscriber) ?? NONE;
  }

  /**
   * Puts a subscriber into a room. Nothing is sent before {@link start}, so that the answer comes first.
   * @param authorise asks whether the subscriber's principal may; thrown on when not
   * @param after the cursor to resume from
   * @throws {InvalidCursor}
   */
  async join(
    subscriber: Subscriber,
    name: string,
    authorise: () => Promise<RoomGrant>,
    after: string | undefined,
  ): Promise<{ joined: Joined; subscription: Subscription }> {
    let grant = await authorise();
    const { streamId } = grant;
    const stream = await this.tail.follow(streamId);
    let watched = false;
    try {
      const from = await this.catchUp.resolve(stream, after);
      const displayName = await this.presence.open(name, streamId, subscriber.principal);
      watched = true;
      // Somebody lost a right between the decision and where the stream is now; it may be the one who joins. From
      // the last look to the registration there is no wait, and what comes later finds the subscription.
      while (grant.asOf < stream.accessSeq) grant = await authorise();
      const room = this.rooms.get(name) ?? new Room(name, stream, (event) => this.cursor(event.seq));
      this.rooms.set(name, room);
      const subscription = new Subscription(subscriber, room, grant, from.position);
      room.members.add(subscription);
      this.remember(subscription);
      const { position, ...rest } = from;
      const joined = {
        room: name,
        cursor: this.cursor(position),
        ...rest,
        ...this.presence.enter(subscription, displayName),
      };
      return { joined, subscription };
    } catch (error) {
      if (watched) this.presence.close(name);
      this.tail.unfollow(streamId);
      throw error;
    }
  }

  /** Begins to deliver to a new subscription. */
  start(subscription: Subscription): void {
    void this.catchUp.run(subscription, (code) => this.putOutOne(subscription, code));
  }

  leave(subscription: Subscription): void {
    if (!subscription.active) return;
    subscription.active = false;
    this.presence.exit(subscription);
    const { room, subscriber } = subscription;
    room.live.delete(subscription);
    room.members.delete(subscription);
    if (room.members.size === 0) this.rooms.delete(room.name);
    const others = this.subscriptions.get(subscriber);
    if (others?.get(room.name) === subscription) others.delete(room.name); // it may have joined again
    if (others?.size === 0) this.subscriptions.delete(subscriber);
    this.tail.unfollow(room.stream.id);
  }

  /** Takes a subscriber out of all its rooms. */
  leaveAll(subscriber: Subscriber): void {
    for (const subscription of [...this.subscriptionsOf(subscriber).values()]) this.leave(subscription);
  }

  /** How many rooms somebody at this instance is in. */
  get roomCount(): number {
    return this.rooms.size;
  }

  /** Whether somebody at this instance is in the room. */
  hasRoom(name: string): boolean {
    return this.rooms.has(name);
  }

  /**
   * Sends something that is not kept to everybody who is in the room now.
   * @returns to how many
   */
  broadcast(name: string, event: string): number {
    const room = this.rooms.get(name);
    if (!room) return 0;
    const frameOn = oncePerWire((wire) => wire.event(name, event));
    let reached = 0;
    // Who lags misses it: that is what ephemeral means.
    for (const { subscriber } of room.live) {
      if (subscriber.isLagging) continue;
      subscriber.send(frameOn(subscriber.wire));
      reached++;
    }
    return reached;
  }

  cursor(seq: number): string {
    return formatCursor(this.epoch.current, seq);
  }

  onEvents(stream: FollowedStream, events: readonly StreamEvent[]): void {
    const workspace = this.rooms.get(workspaceRoom(stream.id));
    const startedAt = traces === undefined ? 0 : performance.now();
    for (const event of events) {
      const before = this.deliveries;
      const change = accessChange(event) ?? this.directory.accessChange(event);
      // Before the event itself: who loses the room hears nothing from here on.
      if (change) this.changeAccess(stream, event, change);
      if (workspace && isHeardInWorkspace(event.subject)) this.deliver(workspace, event);
      const room = this.rooms.get(event.subject);
      if (room && room !== workspace) this.deliver(room, event);
      if (room && change?.kind === 'room-closed') this.putOut([room], 'room_closed');
      if (event.traceparent !== undefined) this.trace(event, this.deliveries - before, startedAt);
    }
  }

  private trace({ traceparent, id, type, subject, writtenAt }: StreamEvent, given: number, at: number): void {
    if (traceparent === undefined || given === 0) return;
    const lagMs = Math.max(0, Date.now() - writtenAt);
    traces?.delivered({ traceparent, id, type, subject, subscribers: given, startedAt: at, lagMs });
  }

  /** The history is another one: nobody can go on from where they were. */
  onReset(stream: FollowedStream, reason: ResetReason): void {
    this.putOut(this.roomsOf(stream), reason);
  }

  onEnd(stream: FollowedStream): void {
    this.putOut(this.roomsOf(stream), 'workspace_deleted');
  }

  /** A changed role needs no more than the new position: grants of before are asked for again when they are used. */
  private changeAccess(
    stream: FollowedStream,
    { seq, subject }: StreamEvent,
    change: AccessChange | RoomAccessChange,
  ): void {
    if (change.kind === 'subject-gone') return this.rooms.get(subject)?.silence();
    stream.accessSeq = seq;
    // Who was let in after this had happened is a member again.
    const isTheirs = ({ subscriber, grant }: Subscription): boolean =>
      'principalId' in change && subscriber.principal?.id === change.principalId && grant.asOf < seq;
    if (change.kind === 'everybody-out') this.putOut(this.roomsOf(stream), 'workspace_deleted');
    else if (change.kind === 'member-out')
      this.putOutAt(seq, this.roomsOf(stream), 'membership_lost', isTheirs);
    else if (change.kind === 'out-of-room') {
      const room = this.rooms.get(subject);
      if (room) this.putOutAt(seq, [room], 'removed', isTheirs);
    }
  }

  /**
   * Puts out at a position of the stream: whoever is still catching up hears first what was theirs to hear until
   * then, and nothing else any more.
   */
  private putOutAt(
    seq: number,
    rooms: readonly Room[],
    code: string,
    concerns: (subscription: Subscription) => boolean,
  ): void {
    for (const room of rooms) {
      for (const subscription of [...room.members].filter(concerns)) {
        if (room.live.has(subscription) || subscription.position >= seq - 1) {
          this.putOutOne(subscription, code);
        } else {
          subscription.ending ??= { seq, code };
          this.presence.exit(subscription);
        }
      }
    }
  }

  private roomsOf(stream: FollowedStream): Room[] {
    return [...this.rooms.values()].filter((room) => room.stream === stream);
  }

  private putOutOne(subscription: Subscription, code: string): void {
    this.putOut([subscription.room], code, (one) => one === subscription);
  }

  private putOut(
    rooms: readonly Room[],
    code: string,
    concerns: (subscription: Subscription) => boolean = () => true,
  ): void {
    for (const room of rooms) {
      const frameOn = oncePerWire((wire) => wire.message('left', { room: room.name, code }));
      for (const subscription of [...room.members].filter(concerns)) {
        const { subscriber } = subscription;
        subscriber.send(frameOn(subscriber.wire));
        this.leave(subscription);
        subscriber.roomLost();
      }
    }
  }

  private deliver(room: Room, event: StreamEvent): void {
    if (room.live.size === 0) return;
    this.deliveries += room.live.size;
    const frameOn = oncePerWire((wire) => room.framesOn(wire).of(event));
    for (const subscription of room.live) {
      const { subscriber } = subscription;
      if (subscriber.isLagging) this.setBack(subscription, event.seq - 1);
      else subscriber.send(frameOn(subscriber.wire));
    }
  }

  private setBack(subscription: Subscription, position: number): void {
    subscription.room.live.delete(subscription);
    subscription.position = position;
    this.start(subscription);
  }

  private remember(subscription: Subscription): void {
    const { subscriber, room } = subscription;
    const others = this.subscriptions.get(subscriber);
    if (others) others.set(room.name, subscription);
    else this.subscriptions.set(subscriber, new Map([[room.name, subscription]]));
  }
}
