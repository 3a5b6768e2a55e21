import { Pool } from 'pg';
import type { Db } from 'pg-boss';
import type { EntityManager } from 'typeorm';
import { traces } from '../common/traces.js';
import { CONNECT_TIMEOUT_MS } from '../database/session-options.js';
import { boundsOf, type DatabaseAddress, sessionConfig } from '../database/sessions.js';

/** Where the queue is, and how long its statements may take. */
export interface JobDatabaseOptions extends DatabaseAddress {
  readonly statementTimeoutMs: number;
}

const CONNECTIONS = 2;
/** Longer than the time between two looks at a queue. */
const IDLE_MS = 60_000;

/**
 * The queue's own connections: its statements neither wait for those of requests nor hold them up, and a connection
 * whose transaction was broken off is thrown away. Nothing is kept in a session, so a pooler may stand between.
 */
export class JobDatabase implements Db {
  private readonly pool: Pool;

  constructor({ statementTimeoutMs, ...address }: JobDatabaseOptions) {
    this.pool = new Pool({
      ...sessionConfig(address, boundsOf('atrium jobs', statementTimeoutMs)),
      max: CONNECTIONS,
      idleTimeoutMillis: IDLE_MS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    });
    // Whoever asks next learns of it.
    this.pool.on('error', () => undefined);
  }

  executeSql(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> {
    const query = (): Promise<{ rows: unknown[] }> => this.pool.query<object>(text, values);
    return traces === undefined ? query() : traces.run({ kind: 'statement', text }, query);
  }

  close(): Promise<void> {
    return this.pool.end();
  }
}

/** The same within somebody's transaction. */
export function inTransaction(manager: EntityManager): Db {
  return {
    executeSql: async (text, values) => {
      if (!manager.queryRunner?.isTransactionActive) throw new Error('The manager is of no transaction');
      const { records } = await manager.queryRunner.query(text, values, true);
      return { rows: records };
    },
  };
}
