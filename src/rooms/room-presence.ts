import { Injectable, Logger } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import { Clock } from '../common/clock.js';
import { reasonOf } from '../common/reason.js';
import { PresenceStore } from './presence-store.js';
import { type PresenceEntry, PresenceView } from './presence-view.js';
import { PrincipalNames } from './principal-names.js';
import type { Subscription } from './room.js';
import { oncePerWire } from './wire.js';

/** What comes within this time is told together. */
const WINDOW_MS = 50;

/** Who is in a room, for one who enters it. */
export interface Present {
  /** At most 200, one per principal. */
  readonly presence: readonly PresenceEntry[];
  /** How many principals there are. */
  readonly present: number;
}

/** A room that this instance has sockets in, or is about to. */
interface Watched {
  readonly view: PresenceView;
  readonly workspaceId: string;
  readonly listeners: Set<Subscription>;
  /** Those who lagged when something was told: they are told everything when they have caught up. */
  readonly behind: Set<Subscription>;
  /** Who keeps it: listeners, and those who are on their way in. */
  users: number;
  loaded: Promise<void>;
}

/**
 * Who is in which room: sockets of this instance at once, those of the others as soon as they are told of. Changes are
 * collected and go out together as `presence {room, joined, left, updated}`.
 */
@Injectable()
export class RoomPresence {
  private readonly logger = new Logger('Presence');
  private readonly rooms = new Map<string, Watched>();
  private readonly changed = new Set<Watched>();
  private readonly toRead = new Set<string>();
  private reading = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly store: PresenceStore,
    private readonly names: PrincipalNames,
    private readonly clock: Clock,
  ) {
    store.listen(this);
  }

  /**
   * Begins to watch a room of a workspace, before somebody enters it; undone by {@link close}.
   * @returns how that principal is called, for {@link enter}
   * @throws {import('../database/errors.js').DatabaseUnavailableError}
   */
  async open(name: string, workspaceId: string, principal: Principal | undefined): Promise<string | null> {
    let room = this.rooms.get(name);
    if (!room) {
      const watched = { view: new PresenceView(name), workspaceId };
      const loaded = this.load([watched]);
      room = { ...watched, listeners: new Set(), behind: new Set(), users: 0, loaded };
      this.rooms.set(name, room);
    }
    room.users++;
    try {
      const asked = principal ? this.names.of(principal) : null;
      const [displayName] = await Promise.all([asked, room.loaded]);
      return displayName;
    } catch (error) {
      this.close(name);
      throw error;
    }
  }

  /** Ends one {@link open}. */
  close(name: string): void {
    const room = this.rooms.get(name);
    if (!room || --room.users > 0) return;
    this.tellElsewhere(room);
    this.rooms.delete(name);
    this.changed.delete(room);
  }

  /** Counts a subscription to a room that was {@link open}ed for it. */
  enter(subscription: Subscription, displayName: string | null): Present {
    const room = this.roomOf(subscription);
    const { principal } = subscription.subscriber;
    if (!room || !principal) return { presence: [], present: 0 };
    room.view.enter(principal, displayName);
    if (room.listeners.size === 0) room.view.takeChange(); // there is nobody else to tell
    room.listeners.add(subscription);
    subscription.presenceSeen = room.view.version;
    this.schedule(room);
    const presence = room.view.list();
    return { presence, present: room.view.total };
  }

  /** Takes a subscription out, and lets go of its room. */
  exit(subscription: Subscription): void {
    const room = this.roomOf(subscription);
    const { principal } = subscription.subscriber;
    if (!room || !principal || !room.listeners.has(subscription)) return;
    room.listeners.delete(subscription);
    room.behind.delete(subscription);
    room.view.exit(principal);
    this.schedule(room);
    this.close(subscription.room.name);
  }

  /**
   * Sets what the principal of a subscription says of itself.
   * @returns its entry
   */
  setState(subscription: Subscription, state: object): PresenceEntry | undefined {
    const room = this.roomOf(subscription);
    const { principal } = subscription.subscriber;
    if (!room || !principal) return undefined;
    room.view.setState(principal, state, this.clock.now());
    subscription.presenceSeen = room.view.version;
    this.schedule(room);
    return room.view.list().find(({ principalId }) => principalId === principal.id);
  }

  onElsewhere(rooms: ReadonlySet<string> | 'all'): void {
    for (const name of rooms === 'all' ? this.rooms.keys() : rooms)
      if (this.rooms.has(name)) this.toRead.add(name);
    void this.readElsewhere();
  }

  onForgotten(): void {
    for (const room of this.rooms.values()) {
      room.view.markAllDirty();
      this.schedule(room);
    }
  }

  private roomOf({ room }: Subscription): Watched | undefined {
    return this.rooms.get(room.name);
  }

  private schedule(room: Watched): void {
    this.changed.add(room);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.tell();
    }, WINDOW_MS).unref();
  }

  private tell(): void {
    const rooms = [...this.changed];
    this.changed.clear();
    for (const room of rooms) {
      this.tellElsewhere(room);
      this.tellHere(room);
    }
  }

  private tellElsewhere({ view }: Watched): void {
    this.store.write(view.takeDirty());
  }

  private tellHere(room: Watched): void {
    const { view, listeners, behind } = room;
    const change = view.takeChange();
    if (change) {
      const frameOn = oncePerWire((wire) => wire.message('presence', { room: view.room, ...change }));
      for (const listener of listeners) {
        if (listener.presenceSeen === view.version) continue; // its own doing, and nothing else
        const { subscriber } = listener;
        if (subscriber.isLagging) behind.add(listener);
        else if (!behind.has(listener)) subscriber.send(frameOn(subscriber.wire));
      }
    }
    if (behind.size > 0) this.tellBehind(room);
  }

  /** Those who missed something are told the whole, in place of what they know. */
  private tellBehind(room: Watched): void {
    const { view, behind } = room;
    const caughtUp = [...behind].filter(({ subscriber }) => !subscriber.isLagging);
    if (caughtUp.length > 0) {
      const frameOn = oncePerWire((wire) =>
        wire.message('presence', { room: view.room, presence: view.list() }),
      );
      for (const listener of caughtUp) {
        listener.subscriber.send(frameOn(listener.subscriber.wire));
        behind.delete(listener);
      }
    }
    if (behind.size > 0) this.schedule(room);
  }

  /** Reads what the others say, one statement at a time for all rooms that it concerns. */
  private async readElsewhere(): Promise<void> {
    if (this.reading) return;
    this.reading = true;
    try {
      while (this.toRead.size > 0) {
        const rooms = [...this.toRead].flatMap((name) => this.rooms.get(name) ?? []);
        this.toRead.clear();
        if (rooms.length > 0) await this.load(rooms);
      }
    } catch (error) {
      this.toRead.clear(); // the next beat asks again
      this.logger.warn(`Cannot read who is in the rooms: ${reasonOf(error)}`);
    } finally {
      this.reading = false;
    }
  }

  private async load(rooms: readonly Pick<Watched, 'view' | 'workspaceId'>[]): Promise<void> {
    const rows = await this.store.read(
      rooms.map(({ view }) => view.room),
      rooms.map(({ workspaceId }) => workspaceId),
    );
    for (const { view } of rooms) {
      view.replaceElsewhere(rows.get(view.room) ?? []);
      const room = this.rooms.get(view.room);
      if (room?.view === view) this.schedule(room);
    }
  }
}
