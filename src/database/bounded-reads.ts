import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { type CustomTypesConfig, Pool } from 'pg';
import { DatabaseBusyError, DatabaseUnavailableError, isCancelled, isConnectionLoss } from './errors.js';
import type { StatementValue } from './pipelined-statements.js';
import { type PoolUse, useOf } from './pool-use.js';
import { POOL_WAIT_MS, SESSION_OPTIONS } from './session-options.js';

/** Where and how bounded reads are run. */
export interface BoundedReadOptions {
  readonly url: string;
  /** How long one may take. */
  readonly timeoutMs: number;
}

const CONNECTIONS = 3;
const MAX_WAITING = 100;
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
  private readonly pool: Pool;
  private readonly limitMs: number;
  private closing: Promise<void> | undefined;

  constructor({ url, timeoutMs }: BoundedReadOptions) {
    this.limitMs = timeoutMs;
    this.pool = new Pool({
      connectionString: url,
      application_name: 'atrium reads',
      // Compiling a plan costs more than such a read may.
      options: `${SESSION_OPTIONS} -c jit=off -c default_transaction_read_only=on`,
      max: CONNECTIONS,
      statement_timeout: timeoutMs,
      connectionTimeoutMillis: POOL_WAIT_MS,
      keepAlive: true,
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
   * @throws {ReadTooSlowError} it was cancelled
   * @throws {DatabaseBusyError} too many are waiting; it was not sent
   * @throws {DatabaseUnavailableError} there is no connection, or it broke before the answer
   */
  async run<Row extends object>(text: string, values: readonly StatementValue[]): Promise<Row[]> {
    if (this.pool.waitingCount >= MAX_WAITING) throw new DatabaseBusyError(MAX_WAITING);
    try {
      return (await this.pool.query<Row>(text, [...values])).rows;
    } catch (error) {
      if (isCancelled(error)) throw new ReadTooSlowError(this.limitMs);
      if (error instanceof Error && error.message.startsWith('timeout exceeded'))
        throw new DatabaseBusyError(MAX_WAITING);
      if (isConnectionLoss(error))
        throw new DatabaseUnavailableError('The connection to the database broke', { cause: error });
      throw error;
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
