import { Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { newId } from '../common/identifiers.js';
import { Outgoing, readBatch, type Told, writeBatch } from './batch.js';
import type { BusConnection, BusDriver } from './bus-connection.js';
import { Link, within } from './link.js';

/** Receives what other instances tell. Both are hints: to be checked before they change anything that matters. */
export interface BusListener {
  /** Values by key, in the order in which they were told. Shapes are not checked. */
  told(entries: ReadonlyMap<string, string>): void;
  /** Something may have been told that did not arrive: look at everything. */
  missed(): void;
}

/** How often an instance lets the others know that it is there. */
const HEARTBEAT_MS = 5_000;
/** Who has not been heard of for this long is gone; if it is oneself, the connection is dead. */
const SILENCE_MS = 3.5 * HEARTBEAT_MS;
/** What sending may take until the connection counts as dead. */
const PATIENCE_MS = 5_000;
/** Said once, where nobody can listen. */
const NO_BUS =
  'Through the pooler nobody can listen: other instances are heard up to a second later, unless DATABASE_DIRECT_URL or REDIS_URL is set';
/** How many other instances are kept in mind. */
const MAX_PEERS = 1_000;

/**
 * Tells other instances what has just happened here, so that they need not wait until they look for themselves. No
 * more than that: whatever is told may be lost, doubled, late or invented, and every listener has a way of its own to
 * find out. Never waited for by a request, never a reason not to be ready.
 *
 * At most one message is under way; whatever comes meanwhile goes with the next, each key once. An instance that is
 * alone tells nobody.
 */
export class Bus implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(Bus.name);
  private readonly id = newId();
  private readonly listeners = new Map<string, BusListener[]>();
  private readonly outgoing = new Outgoing();
  private readonly link: Link<BusConnection> | undefined;
  /** Other instances, and when each was last heard, by {@link performance.now}. */
  private readonly peers = new Map<string, number>();
  private heardMyselfAt = 0;
  private greeting = false;
  private sending: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;

  /** @param driver without one, nobody is told and nobody heard: everybody looks */
  constructor(driver?: BusDriver) {
    this.link =
      driver &&
      new Link({
        make: (lost) => driver({ heard: (text) => this.heard(text), lost }),
        up: (again) => this.up(again),
        says: {
          lost: 'The bus is gone, so other instances are heard a little later',
          back: 'The bus is back',
        },
      });
  }

  /** Whether other instances are heard at once. */
  get isUp(): boolean {
    return this.link?.open !== undefined;
  }

  /** How many other instances are known to be there. */
  get peerCount(): number {
    return this.peers.size;
  }

  /** Connects in the background: nothing waits for the bus. */
  onApplicationBootstrap(): void {
    if (!this.link) {
      this.logger.log(NO_BUS);
      return;
    }
    this.link.start();
    this.timer = setInterval(() => this.beat(), HEARTBEAT_MS).unref();
  }

  /** What has been published by now is still sent. */
  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.sending;
    await this.link?.stop();
  }

  subscribe(channel: string, listener: BusListener): void {
    this.listeners.set(channel, [...(this.listeners.get(channel) ?? []), listener]);
  }

  /**
   * Tells the other instances, if it can. Call only after the commit of what is told.
   * @param key what it is about: of several values that wait under one key, the last is told
   */
  publish(channel: string, key: string, value = ''): void {
    if (!this.isUp || this.peers.size === 0) return;
    this.outgoing.add(channel, key, value);
    this.send();
  }

  private send(): void {
    this.sending ??= this.drain();
  }

  private async drain(): Promise<void> {
    // What else this turn of the event loop brings goes with it.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.link?.open && (this.greeting || !this.outgoing.isEmpty)) {
      this.greeting = false;
      await this.sendOver(this.link.open, writeBatch({ from: this.id, told: this.outgoing.take() }));
    }
    this.outgoing.take();
    this.sending = undefined;
  }

  /** What cannot be sent is lost, and with it the connection. */
  private async sendOver(connection: BusConnection, text: string): Promise<void> {
    try {
      await within(PATIENCE_MS, connection.send(text));
    } catch (error) {
      this.link?.lose(connection, error as Error);
    }
  }

  /** Lets the others know of this instance, by saying nothing else. */
  private greet(): void {
    this.greeting = true;
    this.send();
  }

  private beat(): void {
    const open = this.link?.open;
    if (!open) return;
    const now = performance.now();
    if (now - this.heardMyselfAt > SILENCE_MS) {
      this.link?.lose(open, new Error('nothing is heard of what is sent'));
      return;
    }
    for (const [id, heardAt] of this.peers) if (now - heardAt > SILENCE_MS) this.peers.delete(id);
    this.greet();
  }

  private up(again: boolean): void {
    const now = performance.now();
    this.heardMyselfAt = now;
    for (const id of this.peers.keys()) this.peers.set(id, now);
    this.greet();
    if (again) for (const listeners of this.listeners.values()) this.tell(listeners, null);
  }

  private heard(text: string): void {
    const batch = this.isUp ? readBatch(text) : undefined;
    if (!batch) return;
    if (batch.from === this.id) {
      this.heardMyselfAt = performance.now();
      return;
    }
    const isNew = !this.peers.has(batch.from);
    if (!isNew || this.peers.size < MAX_PEERS) this.peers.set(batch.from, performance.now());
    if (isNew) this.greet();
    for (const [channel, told] of batch.told) this.tell(this.listeners.get(channel) ?? [], told);
  }

  private tell(listeners: readonly BusListener[], told: Told): void {
    for (const listener of listeners) {
      try {
        if (told) listener.told(told);
        else listener.missed();
      } catch (error) {
        this.logger.error(error);
      }
    }
  }
}
