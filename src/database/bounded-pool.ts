import { Pool, type PoolClient, type PoolConfig } from 'pg';
import { databaseRefused } from './database-observations.js';
import { DatabaseBusyError, DatabaseUnavailableError } from './errors.js';
import type { PoolUse } from './pool-use.js';
import { QueueWatch } from './queue-watch.js';
import { CONNECT_TIMEOUT_MS } from './session-options.js';

/** As `pg`'s own, with `max` the most connections. */
export interface BoundedPoolConfig extends PoolConfig {
  readonly max: number;
  /** What its refusals are counted as. */
  readonly way: 'transactions' | 'reads';
  /** When none was let go for so long, in ms, nobody waits any longer; a second by default. */
  readonly stillMs?: number;
}

type Release = (error?: Error | boolean) => void;
type Taker = (error: Error | undefined, client: PoolClient | undefined, release: Release) => void;

interface Wait {
  readonly taker: Taker;
  /** By the watch. */
  readonly since: number;
  /** It was answered that there is none. */
  isOver: boolean;
}

const STILL_MS = 1_000;
/** For so long anybody waits for a connection that others use, in ms. */
const WAIT_MS = 3_000;
/** For so long anybody waits in all, in ms, if one is opened: whoever takes over after a failure may be slow at first. */
const OPENING_MS = 5_000;
/** Each of these would wait for all of them. */
const MAX_WAITING = 100;

/**
 * A pool in which nobody waits in vain. Whoever finds all connections in use waits for a turn, which a burst gets, and is
 * refused when no connection was let go for a second, or when it takes too long in spite of that. Then the pool is
 * exhausted: whoever comes now and would have to wait is refused at once, until a connection is let go for which nobody
 * waits any more.
 *
 * Opening a connection is another matter: it may take longer than anybody waits, and is then there for the next.
 */
export class BoundedPool extends Pool {
  private readonly way: BoundedPoolConfig['way'];
  private readonly most: number;
  private readonly patienceMs: number;
  /** Who waits for one of those in use, in the order in which they came. */
  private queue: Wait[] = [];
  /** For whom one is being opened. */
  private readonly opening = new Set<Wait>();
  private readonly watch = new QueueWatch(() => this.look());
  /** Connections that are in use or being opened. */
  private taken = 0;
  private isExhausted = false;

  constructor({ way, stillMs = STILL_MS, ...config }: BoundedPoolConfig) {
    super({ ...config, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
    this.way = way;
    this.most = config.max;
    this.patienceMs = stillMs;
    // Only after that it is idle, and may be taken.
    this.on('release', () => queueMicrotask(() => this.letGo()));
  }

  get use(): PoolUse {
    return { open: this.totalCount, idle: this.idleCount, waiting: this.queue.length };
  }

  /**
   * Lends a connection, to be released in any case.
   * @throws {DatabaseBusyError} there is none, and will be none soon; nothing was sent
   * @throws {DatabaseUnavailableError} one could not be opened in time
   */
  override connect(): Promise<PoolClient>;
  override connect(taker: Taker): void;
  override connect(taker?: Taker): Promise<PoolClient> | undefined {
    if (taker) {
      this.lend(taker);
      return undefined;
    }
    const { promise, resolve, reject } = Promise.withResolvers<PoolClient>();
    this.lend((error, client) => (client ? resolve(client) : reject(error)));
    return promise;
  }

  private lend(taker: Taker): void {
    const wait = { taker, since: this.watch.now, isOver: false };
    if (this.ending || this.taken < this.most) return this.take(wait);
    if (this.isExhausted || this.queue.length >= MAX_WAITING) return this.refuse(wait);
    this.queue.push(wait);
    this.watch.start();
  }

  private take(wait: Wait): void {
    this.taken++;
    this.opening.add(wait);
    if (this.idleCount === 0) this.watch.start();
    super.connect((error, client, release: Release) => {
      this.opening.delete(wait);
      if (!client) this.letGo();
      if (!wait.isOver) wait.taker(error, client, release);
      else if (client) release();
    });
  }

  /** A connection may be taken by somebody else. */
  private letGo(): void {
    this.taken--;
    this.watch.moved();
    const next = this.queue.shift();
    if (next) this.take(next);
    else this.isExhausted = false;
  }

  private look(): void {
    const { watch } = this;
    // One that is being opened will be let go.
    if (this.opening.size > 0) watch.moved();
    const isStill = watch.stillMs > this.patienceMs;
    const refused = this.queue.filter(({ since }) => isStill || watch.waitedMs(since) >= WAIT_MS);
    this.queue = this.queue.filter((wait) => !refused.includes(wait));
    if (refused.length > 0) this.isExhausted = true;
    for (const wait of refused) this.refuse(wait);
    for (const wait of this.opening)
      if (!wait.isOver && watch.waitedMs(wait.since) >= OPENING_MS)
        fail(wait, new DatabaseUnavailableError('A connection to the database was not opened in time'));
    if (this.queue.length + this.opening.size === 0) watch.stop();
  }

  private refuse(wait: Wait): void {
    databaseRefused.tell({ way: this.way });
    fail(wait, new DatabaseBusyError(`all ${this.most} connections are in use, and none is let go`));
  }
}

/** In a turn of its own, as everything that is waited for. */
function fail(wait: Wait, error: Error): void {
  wait.isOver = true;
  process.nextTick(wait.taker, error, undefined, () => undefined);
}
