import { Logger } from '@nestjs/common';
import { reasonOf } from '../common/reason.js';

/** After a connection was lost or could not be opened: how long until the next attempt, doubling. */
const BACKOFF_MS = { first: 100, last: 5_000 };
/** A connection that has lasted this long was a good one; the next attempt does not wait for what failed before it. */
const LASTING_MS = 10_000;

/** A connection that is used until it breaks, and never mended. */
export interface Connection {
  /** Resolves when it can be used. */
  open(): Promise<void>;
  /** Lets go, whatever is under way. Never rejects. */
  close(): Promise<void>;
}

/** What a link connects to, and who wants to know. */
export interface LinkOptions<C extends Connection> {
  /** Makes a connection that says when it has broken: once or more often, also while it opens. */
  make(lost: (error: Error) => void): C;
  /** Told of every connection. @param again whether there was one before */
  up?(again: boolean): void;
  /** What the log says, once each. */
  readonly says: { readonly lost: string; readonly back: string };
}

/** Keeps one connection open, by itself and in the background, for as long as it is wanted. */
export class Link<C extends Connection> {
  private readonly logger = new Logger('Bus');
  private connection: C | undefined;
  private opened: C | undefined;
  private openedAt: number | undefined;
  private saidLost = false;
  private failures = 0;
  private retry: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(private readonly options: LinkOptions<C>) {}

  /** The connection, if there is one that can be used. */
  get open(): C | undefined {
    return this.opened;
  }

  start(): void {
    if (this.stopped || this.connection) return;
    const connection: C = this.options.make((error) => this.lose(connection, error));
    this.connection = connection;
    void connection.open().then(
      () => this.becameOpen(connection),
      (error: unknown) => this.lose(connection, error as Error),
    );
  }

  /** Gives up a connection, if it is still the one: it has broken, or seems to be alive and is not. */
  lose(connection: C, error: Error): void {
    if (this.connection !== connection) return;
    this.connection = undefined;
    if (this.opened && performance.now() - (this.openedAt ?? 0) > LASTING_MS) this.failures = 0;
    this.opened = undefined;
    void connection.close();
    if (!this.saidLost) this.logger.warn(`${this.options.says.lost}: ${reasonOf(error)}`);
    this.saidLost = true;
    const wait = Math.min(BACKOFF_MS.first * 2 ** this.failures++, BACKOFF_MS.last);
    // Random, so that instances that lost it together do not come back together.
    this.retry = setTimeout(() => this.start(), wait * (0.5 + Math.random() / 2)).unref();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.retry);
    const { connection } = this;
    this.connection = undefined;
    this.opened = undefined;
    await connection?.close();
  }

  private becameOpen(connection: C): void {
    if (this.connection !== connection) return;
    this.opened = connection;
    if (this.saidLost) this.logger.log(this.options.says.back);
    this.saidLost = false;
    const again = this.openedAt !== undefined;
    this.openedAt = performance.now();
    this.options.up?.(again);
  }
}

/**
 * Waits for a connection's answer no longer than so many milliseconds.
 * @throws when it does not come
 */
export async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  const { promise: impatient, reject } = Promise.withResolvers<never>();
  // An answer that came while this process was busy is read before the patience is at an end.
  const timer = setTimeout(() => setImmediate(() => reject(new Error('it does not answer'))), ms);
  try {
    return await Promise.race([answer, impatient]);
  } finally {
    clearTimeout(timer);
  }
}
