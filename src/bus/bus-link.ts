import { Logger } from '@nestjs/common';
import type { BusConnection, BusDriver } from './bus-connection.js';

/** After a connection was lost or could not be opened: how long until the next attempt, doubling. */
const BACKOFF_MS = { first: 100, last: 5_000 };
/** What sending or closing may take until the connection counts as dead. */
const PATIENCE_MS = 5_000;

/** What the bus is told of its link. */
export interface LinkListener {
  heard(text: string): void;
  /** There is a connection. @param again whether there was one before: then something may have been missed */
  up(again: boolean): void;
}

/** Keeps one connection open, by itself, for as long as it is wanted. Says once that it is lost, and once that it is back. */
export class BusLink {
  private readonly logger = new Logger('Bus');
  private connection: BusConnection | undefined;
  private open = false;
  private wasOpen = false;
  private saidLost = false;
  private failures = 0;
  private retry: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly driver: BusDriver,
    private readonly listener: LinkListener,
  ) {}

  get isUp(): boolean {
    return this.open;
  }

  start(): void {
    if (this.stopped || this.connection) return;
    const connection = this.driver({
      heard: (text) => {
        if (this.connection === connection && this.open) this.listener.heard(text);
      },
      lost: (error) => this.lose(connection, error),
    });
    this.connection = connection;
    void connection.open().then(
      () => this.opened(connection),
      (error: unknown) => this.lose(connection, error as Error),
    );
  }

  /** Sends if it can, and never rejects: what cannot be sent is lost, and with it the connection. */
  async send(text: string): Promise<void> {
    const { connection } = this;
    if (!connection || !this.open) return;
    try {
      await withinPatience(connection.send(text));
    } catch (error) {
      this.lose(connection, error as Error);
    }
  }

  /** Gives up a connection that seems to be alive and is not. */
  fail(error: Error): void {
    if (this.connection) this.lose(this.connection, error);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.open = false;
    clearTimeout(this.retry);
    const { connection } = this;
    this.connection = undefined;
    await connection?.close();
  }

  private opened(connection: BusConnection): void {
    if (this.connection !== connection) return;
    this.open = true;
    this.failures = 0;
    if (this.saidLost) this.logger.log('The bus is back');
    this.saidLost = false;
    const again = this.wasOpen;
    this.wasOpen = true;
    this.listener.up(again);
  }

  private lose(connection: BusConnection, error: Error): void {
    if (this.connection !== connection) return;
    this.connection = undefined;
    this.open = false;
    void connection.close();
    if (!this.saidLost)
      this.logger.warn(`The bus is gone, so other instances are heard a little later: ${error.message}`);
    this.saidLost = true;
    const wait = Math.min(BACKOFF_MS.first * 2 ** this.failures++, BACKOFF_MS.last);
    // Random, so that instances that lost it together do not come back together.
    this.retry = setTimeout(() => this.start(), wait * (0.5 + Math.random() / 2)).unref();
  }
}

async function withinPatience<T>(work: Promise<T>): Promise<T> {
  const { promise: impatient, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('it does not answer')), PATIENCE_MS);
  try {
    return await Promise.race([work, impatient]);
  } finally {
    clearTimeout(timer);
  }
}
