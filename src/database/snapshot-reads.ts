import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Pool, type CustomTypesConfig, type PoolClient } from 'pg';
import { traces } from '../common/traces.js';
import { DatabaseBusyError, DatabaseUnavailableError, isCancelled, isConnectionLoss } from './errors.js';
import { ReadTooSlowError } from './bounded-reads.js';
import type { StatementValue } from './pipelined-statements.js';
import { type PoolUse, useOf } from './pool-use.js';
import {
  type DatabaseAddress,
  localSettings,
  lockTimeoutOf,
  type SessionBounds,
  sessionConfig,
} from './sessions.js';

/** Where and how snapshots are read. */
export interface SnapshotReadOptions extends DatabaseAddress {
  /** How long one statement may take. */
  readonly timeoutMs: number;
  /** How many may be open at once; four unless told otherwise. */
  readonly most?: number;
  /** What `pg_stat_activity` shows. */
  readonly name?: string;
}

const SNAPSHOTS = 4;
/** How long a connection may take to be opened. */
const OPENING_MS = 5_000;
/** How long one may wait for whoever reads it: while it is open, the database keeps what is deleted meanwhile. */
const STALL_MS = 30_000;
/** How long a connection may take to end a snapshot, before it counts as dead. */
const CLOSING_MS = 5_000;
const AS_TEXT: CustomTypesConfig = { getTypeParser: () => (value: unknown) => value };

/** For reads of more than fits into memory: all of them see the database as it was at one moment. */
@Injectable()
export class SnapshotReads implements OnApplicationShutdown {
  private readonly logger = new Logger(SnapshotReads.name);
  private readonly pool: Pool;
  private readonly bounds: SessionBounds;
  private readonly most: number;
  private open = 0;
  private closing: Promise<void> | undefined;

  constructor(private readonly options: SnapshotReadOptions) {
    this.most = options.most ?? SNAPSHOTS;
    this.bounds = {
      name: options.name ?? 'atrium snapshots',
      statementTimeoutMs: options.timeoutMs,
      lockTimeoutMs: lockTimeoutOf(options.timeoutMs),
      idleInTransactionTimeoutMs: STALL_MS,
      settings: { jit: 'off' },
    };
    this.pool = new Pool({
      ...sessionConfig(options, this.bounds),
      max: this.most,
      connectionTimeoutMillis: OPENING_MS,
      types: AS_TEXT,
    });
    this.pool.on('error', (error) => {
      this.logger.debug(`An idle connection broke: ${error.message}`);
    });
  }

  get use(): PoolUse {
    return useOf(this.pool);
  }

  /**
   * Opens one, to be closed in any case.
   * @throws {DatabaseBusyError} as many are open as may be
   * @throws {DatabaseUnavailableError}
   */
  async begin(): Promise<Snapshot> {
    if (this.open >= this.most) throw new DatabaseBusyError(`${this.most} snapshots are open`);
    this.open++;
    const snapshot = new Snapshot(await this.connect(), this.options.timeoutMs, () => this.open--);
    try {
      await snapshot.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      if (this.options.pooled) await snapshot.run(localSettings(this.bounds));
      return snapshot;
    } catch (error) {
      await snapshot.close();
      throw error;
    }
  }

  private async connect(): Promise<PoolClient> {
    try {
      return await this.pool.connect();
    } catch (error) {
      this.open--;
      throw new DatabaseUnavailableError('The database cannot be reached', { cause: error });
    }
  }

  onApplicationShutdown(): Promise<void> {
    return (this.closing ??= this.pool.end());
  }
}

/** The database as it was at one moment. Columns come as PostgreSQL's text or null, times in UTC. */
export class Snapshot {
  private closed = false;
  private released = false;
  private failed = false;
  private readonly fail = (): void => void (this.failed = true);

  constructor(
    private readonly client: PoolClient,
    private readonly limitMs: number,
    private readonly done: () => void,
  ) {
    // A connection that breaks between two statements fails the next one.
    client.on('error', this.fail);
  }

  /**
   * @throws {ReadTooSlowError} it was cancelled
   * @throws {DatabaseUnavailableError} the connection broke, or was closed since nothing was asked for too long
   */
  run<Row extends object>(text: string, values: readonly StatementValue[] = []): Promise<Row[]> {
    if (traces === undefined) return this.answered<Row>(text, values);
    return traces.run({ kind: 'statement', text }, () => this.answered<Row>(text, values));
  }

  private async answered<Row extends object>(
    text: string,
    values: readonly StatementValue[],
  ): Promise<Row[]> {
    try {
      return (await this.client.query<Row>(text, [...values])).rows;
    } catch (error) {
      this.failed = true;
      if (isCancelled(error)) throw new ReadTooSlowError(this.limitMs);
      if (isConnectionLoss(error))
        throw new DatabaseUnavailableError('The connection to the database broke', { cause: error });
      throw error;
    }
  }

  /** Begins to read the rows of a statement, which {@link next} then gives. One at a time. */
  async query(text: string, values: readonly StatementValue[]): Promise<void> {
    await this.run(`DECLARE rows NO SCROLL CURSOR FOR ${text}`, values);
  }

  /** The next rows of the {@link query}, at most so many; fewer at the end. */
  next<Row extends object>(count: number): Promise<Row[]> {
    const fetch = `FETCH ${Math.trunc(count)} FROM rows`;
    return this.run<Row>(fetch);
  }

  /** Lets go of a connection that may never answer again, and closes it. Safe to call twice. */
  abandon(): void {
    this.closed = true;
    this.release(true);
  }

  /** Safe to call twice. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const impatience = setTimeout(() => this.release(true), CLOSING_MS).unref();
    if (!this.failed) await this.client.query('ROLLBACK').catch(this.fail);
    clearTimeout(impatience);
    this.release(this.failed);
  }

  private release(broken: boolean): void {
    if (this.released) return;
    this.released = true;
    this.client.off('error', this.fail);
    // Of what is closed while it waits for an answer, nobody else hears.
    if (broken) this.client.on('error', () => undefined);
    this.client.release(broken);
    this.done();
  }
}
