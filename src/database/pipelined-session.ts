import type { Client, CustomTypesConfig, QueryResult } from 'pg';
import { DatabaseOverdueError, DatabaseUnavailableError } from './errors.js';
import { CONNECT_TIMEOUT_MS } from './session-options.js';
import { boundsOf, type DatabaseAddress, newClient, sessionConfig } from './sessions.js';

/** A statement that is prepared once per connection under its name. One name, one text, for good. */
export interface Statement {
  /** Unique in the program and at most 63 bytes: `items.read`. */
  readonly name: string;
  readonly text: string;
}

/** A parameter. JSON is passed as text; a list becomes a PostgreSQL array. */
export type StatementValue =
  string | number | bigint | boolean | null | Uint8Array | readonly StatementValue[];

/** Every column stays PostgreSQL's own text: what passes through is not parsed to be printed again. */
export const AS_TEXT: CustomTypesConfig = { getTypeParser: () => (value: unknown) => value };

/** Where statements go, and how. */
export interface StatementAddress extends DatabaseAddress {
  readonly statementTimeoutMs: number;
  /** Whether statements are prepared under their names; not where a pooler forgets whose they are. By default, they are. */
  readonly named?: boolean;
}

/** Called once: with the error, or with the rows. */
export type Done = (error: Error | undefined, rows: unknown[]) => void;

/** Says of a text that it only reads: rather too seldom than too often. */
const isRead = (text: string): boolean =>
  /^\s*(SELECT|WITH)\b/i.test(text) && !/\b(INSERT|UPDATE|DELETE|MERGE)\b/i.test(text);

/** A statement that was sent and is not answered. */
interface Pending {
  readonly text: string;
  /** How many looks there had been. */
  readonly since: number;
  /** `undefined`: whoever waited was told that it takes too long. */
  done: Done | undefined;
}

/**
 * One connection that sends statements without waiting for the answers before them. It is used until it breaks or
 * is retired, never mended.
 */
export class PipelinedSession {
  /** Statements sent or waiting for the connection, not answered yet. */
  busy = 0;
  private state: 'connecting' | 'ready' | 'gone' = 'connecting';
  private connectError: Error | undefined;
  private corked = false;
  private answered = 0;
  private answeredBefore = 0;
  private looks = 0;
  /** In the order in which they are answered. */
  private readonly pending = new Set<Pending>();
  private readonly client: Client;
  private readonly named: boolean;
  /** Resolves when the connection is usable or has failed for good; answers with the failure. */
  readonly opened: Promise<Error | undefined>;

  constructor({ statementTimeoutMs, named = true, ...address }: StatementAddress) {
    this.named = named;
    this.client = newClient({
      ...sessionConfig(address, boundsOf('atrium statements', statementTimeoutMs)),
      pipeline: true,
      types: AS_TEXT,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    });
    // An error event without a listener ends the process; every statement learns of it by its own callback.
    this.client.on('error', () => this.retire());
    this.client.on('end', () => (this.state = 'gone'));
    this.opened = this.open();
  }

  get ready(): boolean {
    return this.state === 'ready';
  }

  /** Takes no more statements. */
  get gone(): boolean {
    return this.state === 'gone';
  }

  private async open(): Promise<Error | undefined> {
    try {
      await this.client.connect();
      if (this.state === 'connecting') this.state = 'ready';
      return undefined;
    } catch (error) {
      this.state = 'gone';
      this.connectError = new DatabaseUnavailableError('The database cannot be reached', { cause: error });
      // Fails the statements that waited for the connection.
      this.client.connection.stream.destroy();
      return this.connectError;
    }
  }

  /**
   * Sends a statement behind those under way. Statements are answered in the order in which they were sent.
   * @param gathered whether it is what a turn of the event loop has brought already: then it leaves at once
   */
  send(statement: Statement, values: readonly StatementValue[], gathered: boolean, done: Done): void {
    this.busy++;
    this.cork(gathered);
    const { name, text } = statement;
    const entry: Pending = { text, since: this.looks, done };
    this.pending.add(entry);
    let answered = false;
    const query = {
      ...(this.named && { name }),
      text,
      values: values as StatementValue[],
      // Without a name and without values, too: columns are to come the same way.
      queryMode: 'extended',
    };
    // pg's types know of an error or a result; it passes null or undefined for the other.
    this.client.query(query, (error: Error | null | undefined, result: QueryResult | undefined) => {
      // pg calls twice for a value that it cannot encode.
      if (answered) return;
      answered = true;
      this.pending.delete(entry);
      this.busy--;
      this.answered++;
      if (error) entry.done?.(this.connectError ?? error, []);
      else entry.done?.(undefined, result?.rows ?? []);
    });
  }

  /** What all requests of one turn of the event loop send leaves in one write. */
  private cork(gathered: boolean): void {
    if (!this.corked) {
      this.corked = true;
      this.client.connection.stream.cork();
      setImmediate(this.uncork);
    }
    if (gathered) process.nextTick(this.uncork);
  }

  private readonly uncork = (): void => {
    if (!this.corked) return;
    this.corked = false;
    this.client.connection.stream.uncork();
  };

  /** Takes no more statements; closes once those under way are answered. */
  retire(): void {
    if (this.state === 'gone') return;
    this.state = 'gone';
    this.client.end().catch(() => undefined);
  }

  /** Like `retire`; resolves when the connection is closed. */
  async close(): Promise<void> {
    this.state = 'gone';
    await this.client.end().catch(() => undefined);
  }

  /**
   * To be called at an interval. Whoever has waited for more than `overdue` calls is told that it takes too long: what
   * each statement may take is bounded, but not how many stand before it.
   * @returns whether there is one that has waited for `stalled` calls
   */
  look(stalled: number, overdue: number): boolean {
    this.looks++;
    for (const entry of this.pending) {
      if (this.looks - entry.since <= overdue) break;
      tell(entry);
    }
    const [oldest] = this.pending;
    return oldest !== undefined && this.looks - oldest.since > stalled;
  }

  /** Tells whoever has waited for a read for more than so many calls of {@link look} that it takes too long. */
  giveUpReads(looks: number): void {
    for (const entry of this.pending) {
      if (this.looks - entry.since <= looks) break;
      if (isRead(entry.text)) tell(entry);
    }
  }

  /**
   * To be called at an interval longer than any statement may take: breaks the connection if statements wait and
   * none was answered since the last call, because then the other end is gone without a word.
   */
  checkProgress(): void {
    if (this.busy > 0 && this.answered === this.answeredBefore)
      this.client.connection.stream.destroy(new Error('Connection terminated: the database does not answer'));
    this.answeredBefore = this.answered;
  }
}

/** What it asked for may still be done, and nobody waits for it any more. */
function tell(entry: Pending): void {
  const { done } = entry;
  entry.done = undefined;
  done?.(new DatabaseOverdueError(), []);
}
