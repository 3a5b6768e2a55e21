import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { CustomTypesConfig } from 'pg';
import { traces } from '../common/traces.js';
import { BoundedPool } from './bounded-pool.js';
import { DatabaseUnavailableError, isCancelled, isConnectionLoss } from './errors.js';
import type { StatementValue } from './pipelined-statements.js';
import type { PoolUse } from './pool-use.js';
import {
  type DatabaseAddress,
  localSettings,
  lockTimeoutOf,
  type SessionBounds,
  sessionConfig,
} from './sessions.js';

/** Where and how bounded reads are run. */
export interface BoundedReadOptions extends DatabaseAddress {
  /** How long one may take. */
  readonly timeoutMs: number;
}

const CONNECTIONS = 3;
const AS_TEXT: CustomTypesConfig = { getTypeParser: () => (value: unknown) => value };

/** A read took longer than it may; it was cancelled. */
export class ReadTooSlowError extends Error {
  constructor(readonly limitMs: number) {
    super(`The read took longer than ${limitMs} ms`);
    this.name = 'ReadTooSlowError';
  }
}

/**
 * The way for reads whose cost depends on what a client asked: on a few connections of their own with a short time
 * limit, so that a slow one holds up neither the pipelined statements nor the transactions. Each is a transaction of
 * its own, not prepared, since its text varies. Columns come as PostgreSQL's text or null, times in UTC.
 */
@Injectable()
export class BoundedReads implements OnApplicationShutdown {
  private readonly logger = new Logger(BoundedReads.name);
  private readonly pool: BoundedPool;
  private readonly limitMs: number;
  /** What a read begins with where a session is nobody's own. */
  private readonly begin: string | undefined;
  private closing: Promise<void> | undefined;

  constructor({ timeoutMs, ...address }: BoundedReadOptions) {
    this.limitMs = timeoutMs;
    const bounds: SessionBounds = {
      name: 'atrium reads',
      statementTimeoutMs: timeoutMs,
      // Waiting is none of the read's own cost.
      lockTimeoutMs: lockTimeoutOf(timeoutMs),
      // Compiling a plan costs more than such a read may.
      settings: { jit: 'off', default_transaction_read_only: 'on' },
    };
    this.begin = address.pooled ? `BEGIN READ ONLY; ${localSettings(bounds)}` : undefined;
    this.pool = new BoundedPool({
      ...sessionConfig(address, bounds),
      max: CONNECTIONS,
      way: 'reads',
      // So long each may take, and a second: whoever waits behind one does not wait in vain.
      stillMs: timeoutMs + 1_000,
      types: AS_TEXT,
    });
    this.pool.on('error', (error) => {
      this.logger.debug(`An idle connection broke: ${error.message}`);
    });
  }

  get use(): PoolUse {
    return this.pool.use;
  }

  /**
   * @throws {ReadTooSlowError} it was cancelled
   * @throws {import('./errors.js').DatabaseBusyError} it would wait for too long; it was not sent
   * @throws {DatabaseUnavailableError} there is no connection, or it broke before the answer
   */
  run<Row extends object>(text: string, values: readonly StatementValue[]): Promise<Row[]> {
    if (traces === undefined) return this.answered<Row>(text, values);
    return traces.run({ kind: 'statement', text }, () => this.answered<Row>(text, values));
  }

  private async answered<Row extends object>(
    text: string,
    values: readonly StatementValue[],
  ): Promise<Row[]> {
    try {
      if (this.begin !== undefined) return await this.within<Row>(this.begin, text, values);
      return (await this.pool.query<Row>(text, [...values])).rows;
    } catch (error) {
      if (isCancelled(error)) throw new ReadTooSlowError(this.limitMs);
      if (isConnectionLoss(error))
        throw new DatabaseUnavailableError('The connection to the database broke', { cause: error });
      throw error;
    }
  }

  private async within<Row extends object>(
    begin: string,
    text: string,
    values: readonly StatementValue[],
  ): Promise<Row[]> {
    const client = await this.pool.connect();
    let ended = false;
    try {
      await client.query(begin);
      const { rows } = await client.query<Row>(text, [...values]);
      await client.query('COMMIT');
      ended = true;
      return rows;
    } finally {
      // What was cancelled is rolled back, so that the pooler has its connection again, and so have we.
      ended ||= await client.query('ROLLBACK').then(
        () => true,
        () => false,
      );
      client.release(!ended);
    }
  }

  /** Answers what is under way and closes the connections. Safe to call twice. */
  close(): Promise<void> {
    return (this.closing ??= this.pool.end());
  }

  onApplicationShutdown(): Promise<void> {
    return this.close();
  }
}
