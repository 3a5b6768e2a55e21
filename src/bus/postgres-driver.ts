import { Client, type Notification } from 'pg';
import { CONNECT_TIMEOUT_MS } from '../database/session-options.js';
import type { BusConnection, BusDriver, BusHandlers } from './bus-connection.js';

const CHANNEL = 'atrium';
/** A notification carries less than 8,000 bytes; the rest is for the part's heading. */
const PART_CHARACTERS = 7_900;
/** What is cut into more parts than this is not from an instance of ours. */
const MAX_PARTS = 4_096;
const CLOSING_MS = 1_000;

/**
 * What sends and listens on the one connection: it waits for no flush, since a hint that a crash swallows was only
 * a hint, and nothing else is ever written here.
 */
const OPTIONS = '-c synchronous_commit=off';
const NOTIFY = {
  name: 'bus.notify',
  text: `SELECT pg_notify('${CHANNEL}', part) FROM unnest($1::text[]) AS part`,
};
const LISTEN = `LISTEN ${CHANNEL}`;

/**
 * LISTEN and NOTIFY on one connection of its own. It must reach PostgreSQL itself: a pooler in transaction mode
 * passes notifications on to anybody or nobody.
 * @param url `postgresql://…`
 */
export const postgresDriver =
  (url: string): BusDriver =>
  (handlers) =>
    new PostgresConnection(url, handlers);

class PostgresConnection implements BusConnection {
  private readonly client: Client;
  private readonly parts = new PartReader();

  constructor(url: string, handlers: BusHandlers) {
    this.client = new Client({
      connectionString: url,
      application_name: 'atrium bus',
      options: OPTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
    });
    this.client.on('error', (error) => handlers.lost(error));
    this.client.on('end', () => handlers.lost(new Error('the connection to the database ended')));
    this.client.on('notification', (notification) => {
      const text = this.parts.read(notification);
      if (text !== undefined) handlers.heard(text);
    });
  }

  async open(): Promise<void> {
    await this.client.connect();
    await this.client.query(LISTEN);
  }

  async send(text: string): Promise<void> {
    await this.client.query({ ...NOTIFY, values: [cut(text)] });
  }

  async close(): Promise<void> {
    const { stream } = this.client.connection;
    const timer = setTimeout(() => stream.destroy(), CLOSING_MS).unref();
    await this.client.end().catch(() => stream.destroy());
    clearTimeout(timer);
  }
}

/** Parts of a text, each with its number and how many there are: `0/2:…`. One statement's parts arrive in a row. */
function cut(text: string): string[] {
  const count = Math.ceil(text.length / PART_CHARACTERS);
  return Array.from(
    { length: count },
    (_, n) => `${n}/${count}:${text.slice(n * PART_CHARACTERS, (n + 1) * PART_CHARACTERS)}`,
  );
}

/** Puts texts together again. */
class PartReader {
  private sender: number | undefined;
  private parts: string[] = [];

  /** @returns the text that is complete with this part */
  read({ processId, payload = '' }: Notification): string | undefined {
    const [heading, n, count] = /^(\d{1,4})\/(\d{1,4}):/.exec(payload) ?? [];
    if (heading === undefined || Number(count) > MAX_PARTS) return undefined;
    if (Number(n) === 0) {
      this.sender = processId;
      this.parts = [];
    }
    // Not the next part of the text that has begun: somebody else's, or not ours at all.
    if (this.sender !== processId || this.parts.length !== Number(n)) return undefined;
    this.parts.push(payload.slice(heading.length));
    if (this.parts.length < Number(count)) return undefined;
    const text = this.parts.join('');
    this.parts = [];
    this.sender = undefined;
    return text;
  }
}
