import type { DataSourceOptions } from 'typeorm';
import { migrations } from '../../migrations/index.js';
import { entities } from './entities.js';
import { POOL_WAIT_MS, SESSION_OPTIONS } from './session-options.js';

/** Where the database is and how it is used; `AtriumConfig.database` with its `url` set is one. */
export interface DatabaseSettings {
  /** `postgresql://user:password@host:port/name` */
  readonly url: string;
  readonly poolSize: number;
  readonly statementTimeoutMs: number;
}

/**
 * The options of Atrium's data source. The schema changes by migrations alone, each in a transaction of its own;
 * no statement, lock wait or forgotten transaction outlives its bound.
 */
export function dataSourceOptions(database: DatabaseSettings): DataSourceOptions {
  return {
    type: 'postgres',
    url: database.url,
    applicationName: 'atrium',
    poolSize: database.poolSize,
    connectTimeoutMS: POOL_WAIT_MS,
    // Classes, not globs: TypeORM would import the files outside of a test runner's module system.
    entities,
    migrations,
    migrationsTableName: 'migrations',
    migrationsTransactionMode: 'each',
    synchronize: false,
    // gen_random_uuid() is part of PostgreSQL: no extension, so no superuser.
    uuidExtension: 'pgcrypto',
    installExtensions: false,
    extra: {
      options: SESSION_OPTIONS,
      keepAlive: true,
      statement_timeout: database.statementTimeoutMs,
      lock_timeout: Math.ceil(database.statementTimeoutMs / 2),
      idle_in_transaction_session_timeout: database.statementTimeoutMs * 2,
    },
  };
}
