import type { DataSourceOptions } from 'typeorm';
import { migrations } from '../../migrations/index.js';
import { BoundedPool } from './bounded-pool.js';
import { entities } from './entities.js';
import { boundsOf, type DatabaseAddress, sessionConfig } from './sessions.js';

/** Where the database is and how it is used; `AtriumConfig.database` with its `url` set is one. */
export interface DatabaseSettings extends DatabaseAddress {
  readonly poolSize: number;
  readonly statementTimeoutMs: number;
}

/**
 * The options of Atrium's data source. The schema changes by migrations alone, each in a transaction of its own;
 * no statement, lock wait or forgotten transaction outlives its bound.
 */
export function dataSourceOptions(database: DatabaseSettings): DataSourceOptions {
  const { connectionString: url, ...session } = sessionConfig(
    database,
    boundsOf('atrium', database.statementTimeoutMs),
  );
  return {
    type: 'postgres',
    url,
    poolSize: database.poolSize,
    driver: { Pool: BoundedPool },
    // Classes, not globs: TypeORM would import the files outside of a test runner's module system.
    entities,
    migrations,
    migrationsTableName: 'migrations',
    migrationsTransactionMode: 'each',
    synchronize: false,
    // gen_random_uuid() is part of PostgreSQL: no extension, so no superuser.
    uuidExtension: 'pgcrypto',
    installExtensions: false,
    extra: { ...session, way: 'transactions' },
  };
}
