import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { traces } from '../common/traces.js';
import { databaseRefused } from './database-observations.js';
import {
  DatabaseBusyError,
  DatabaseOverdueError,
  DatabaseUnavailableError,
  isConnectionLoss,
  isStalePlan,
} from './errors.js';
import {
  PipelinedSession,
  type Statement,
  type StatementAddress,
  type StatementValue,
} from './pipelined-session.js';

export type { Statement, StatementValue } from './pipelined-session.js';

/** Where and how statements are run. */
export interface PipelineOptions extends StatementAddress {
  /** Connections, opened as they are needed. */
  readonly connections?: number;
  /** Statements that may wait for an answer; the next is refused. */
  readonly maxWaiting?: number;
}

interface Asked {
  readonly statement: Statement;
  readonly values: readonly StatementValue[];
  readonly gathered: boolean;
}

const CONNECTIONS = 3;
const MAX_WAITING = 4_096;
/** After a connection could not be opened: how long until the next attempt, doubling. */
const BACKOFF_MS = { first: 50, last: 1_000 };
/** What a statement may take past its own time limit until its connection counts as dead. */
const SILENCE_MS = 5_000;
/** What a statement may wait past its own time limit until whoever asked is told that it takes too long. */
const OVERDUE_MS = 1_000;
/** How often it is looked whether the database answers at all, in ms. */
const STALL_LOOK_MS = 250;
/** For so many looks a statement may wait on each of the connections, before further ones are refused at once. */
const STALLED_LOOKS = 8;

/**
 * The hot path to the database: single statements, each a transaction of its own, prepared by name and sent over a
 * few connections without waiting for the answers before them. Columns come as PostgreSQL's text or null, times in
 * UTC. Not for anything slow: it would hold up the statements behind it on its connection.
 */
@Injectable()
export class PipelinedStatements implements OnApplicationShutdown {
  private readonly sessions: PipelinedSession[] = [];
  private readonly connections: number;
  private readonly maxWaiting: number;
  private readonly watchdog: NodeJS.Timeout;
  private readonly stallTimer: NodeJS.Timeout;
  /** Whether on every connection there may be a statement waits that has waited for long. */
  private stalled = false;
  private failures = 0;
  private retryAt = 0;
  private lastFailure: Error | undefined;
  private count = 0;
  private closing: Promise<void> | undefined;
  private whenIdle: (() => void) | undefined;

  constructor(private readonly options: PipelineOptions) {
    this.connections = options.connections ?? CONNECTIONS;
    this.maxWaiting = options.maxWaiting ?? MAX_WAITING;
    this.watchdog = setInterval(() => {
      for (const session of this.sessions) session.checkProgress();
    }, options.statementTimeoutMs + SILENCE_MS).unref();
    const overdueLooks = Math.ceil((options.statementTimeoutMs + OVERDUE_MS) / STALL_LOOK_MS);
    this.stallTimer = setInterval(() => {
      const stalled = [...this.sessions].filter((session) => session.look(STALLED_LOOKS, overdueLooks));
      this.stalled = stalled.length >= this.connections;
      // Whoever only reads learns of it like those who come now. What became of a write is worth waiting for.
      if (this.stalled) for (const session of stalled) session.giveUpReads(STALLED_LOOKS);
    }, STALL_LOOK_MS).unref();
  }

  /** Statements that wait for their answer. */
  get waiting(): number {
    return this.count;
  }

  /**
   * Runs one statement. Statements of one caller may overtake each other unless each is awaited.
   * @param gathered whether it stands for all that a turn of the event loop has brought: others are sent at the turn's end,
   *   together
   * @throws {DatabaseBusyError} too many are waiting, or have waited for long; it was not sent
   * @throws {DatabaseOverdueError} it has waited for long; a write may happen
   * @throws {DatabaseUnavailableError} there is no connection, or it broke before the answer: a write may have happened
   * @throws {import('pg').DatabaseError} the statement's own error, with its SQLSTATE in `code`
   */
  run<Row>(statement: Statement, values: readonly StatementValue[] = [], gathered = false): Promise<Row[]> {
    if (traces === undefined) return this.answered<Row>(statement, values, gathered);
    const { name, text } = statement;
    return traces.run({ kind: 'statement', name, text }, () =>
      this.answered<Row>(statement, values, gathered),
    );
  }

  private answered<Row>(
    statement: Statement,
    values: readonly StatementValue[],
    gathered: boolean,
  ): Promise<Row[]> {
    return new Promise<Row[]>((resolve, reject) => {
      if (this.closing) throw new DatabaseUnavailableError('Atrium is shutting down');
      if (this.stalled || this.count >= this.maxWaiting) {
        databaseRefused.tell({ way: 'statements' });
        throw new DatabaseBusyError(`${this.count} statements wait`);
      }
      this.count++;
      this.send({ statement, values, gathered }, true, (error, rows) => {
        this.count--;
        if (error) reject(error);
        else resolve(rows as Row[]);
        if (this.count === 0) this.whenIdle?.();
      });
    });
  }

  private send(
    asked: Asked,
    first: boolean,
    done: (error: Error | undefined, rows: unknown[]) => void,
  ): void {
    const session = this.choose();
    if (!session) {
      done(new DatabaseUnavailableError('The database cannot be reached', { cause: this.lastFailure }), []);
      return;
    }
    session.send(asked.statement, asked.values, asked.gathered, (error, rows) => {
      if (!error) {
        done(undefined, rows);
      } else if (isStalePlan(error)) {
        // The schema changed under the prepared statement, or a pooler dropped it. It was refused before it ran,
        // so it can be sent again; the connection's other statements are as stale.
        this.remove(session);
        session.retire();
        if (first) this.send(asked, false, done);
        else done(error, []);
      } else if (error instanceof DatabaseOverdueError) {
        done(error, []);
      } else if (isConnectionLoss(error)) {
        this.remove(session);
        session.retire();
        done(new DatabaseUnavailableError('The connection to the database broke', { cause: error }), []);
      } else {
        done(error, []);
      }
    });
  }

  /** The least busy connection, opening one more when all are busy. None while the database cannot be reached. */
  private choose(): PipelinedSession | undefined {
    let best: PipelinedSession | undefined;
    for (const session of [...this.sessions]) {
      if (session.gone) this.remove(session);
      else if (!best || rank(session) < rank(best)) best = session;
    }
    const full = this.sessions.length >= this.connections;
    if (best?.busy === 0 || full || this.isBackingOff()) return best;
    const opened = this.open();
    // A statement does not wait for a connection to open while another could carry it.
    return best ?? opened;
  }

  private isBackingOff(): boolean {
    return this.failures > 0 && performance.now() < this.retryAt;
  }

  private open(): PipelinedSession {
    const session = new PipelinedSession(this.options);
    this.sessions.push(session);
    void session.opened.then((failure) => {
      if (!failure) {
        this.failures = 0;
        return;
      }
      this.remove(session);
      this.lastFailure = failure;
      const wait = Math.min(BACKOFF_MS.first * 2 ** this.failures++, BACKOFF_MS.last);
      this.retryAt = performance.now() + wait;
    });
    return session;
  }

  private remove(session: PipelinedSession): void {
    const index = this.sessions.indexOf(session);
    if (index >= 0) this.sessions.splice(index, 1);
  }

  /** Takes no more statements, answers those under way, closes the connections. Safe to call twice. */
  close(): Promise<void> {
    return (this.closing ??= this.closeOnce());
  }

  private async closeOnce(): Promise<void> {
    if (this.count > 0) await new Promise<void>((resolve) => (this.whenIdle = resolve));
    clearInterval(this.watchdog);
    clearInterval(this.stallTimer);
    await Promise.all(this.sessions.splice(0).map((session) => session.close()));
  }

  onApplicationShutdown(): Promise<void> {
    return this.close();
  }
}

/** Connections that are still opening come last. */
function rank(session: PipelinedSession): number {
  return session.ready ? session.busy : session.busy + 1e6;
}
