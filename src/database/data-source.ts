import type { DataSourceOptions } from 'typeorm';
import { migrations } from '../../migrations/index.js';
import { entities } from './entities.js';

/** Where the database is and how it is used; `AtriumConfig.database` with its `url` set is one. */
export interface DatabaseSettings {
  /** `postgresql://user:password@host:port/name` */
  readonly url: string;
  readonly poolSize: number;
  readonly statementTimeoutMs: number;
}

/**
 * What every session of Atrium runs with, whatever the server's or the caller's (`PGOPTIONS`) defaults:
 * times read the same everywhere.
 */
export const SESSION_OPTIONS = '-c TimeZone=UTC -c DateStyle=ISO,YMD';

/** Milliseconds to wait for a connection before the database counts as unreachable. */
export const CONNECT_TIMEOUT_MS = 10_000;

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
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
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
