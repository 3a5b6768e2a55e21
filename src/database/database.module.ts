import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { AtriumConfig } from '../config/config.js';
import { type DatabaseSettings, dataSourceOptions } from './data-source.js';
import { BoundedReads } from './bounded-reads.js';
import { isConnectionLoss } from './errors.js';
import { MigrationStatus } from './migration-status.js';
import { migrate } from './migrator.js';
import { PipelinedStatements } from './pipelined-statements.js';
import { SnapshotReads } from './snapshot-reads.js';
import { Transactions } from './transactions.js';

/** A database that starts beside the application (as containers do) is waited for: attempts, and ms between them. */
const RECONNECT = { retryAttempts: 20, retryDelay: 1_000 };

/** The one data source, migrated before anything uses it, and the two ways to write: statements and transactions. */
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [AtriumConfig],
      useFactory: (config: AtriumConfig) => ({
        ...dataSourceOptions(settings(config)),
        ...RECONNECT,
        // What a migration throws would be the same the next time.
        toRetry: isConnectionLoss,
      }),
      dataSourceFactory: migratedDataSource,
    }),
  ],
  providers: [
    {
      provide: PipelinedStatements,
      inject: [AtriumConfig],
      useFactory: (config: AtriumConfig) => new PipelinedStatements(settings(config)),
    },
    {
      provide: BoundedReads,
      inject: [AtriumConfig],
      useFactory: (config: AtriumConfig) =>
        new BoundedReads({ url: settings(config).url, timeoutMs: config.lists.timeoutMs }),
    },
    {
      provide: SnapshotReads,
      inject: [AtriumConfig],
      useFactory: (config: AtriumConfig) =>
        new SnapshotReads({ url: settings(config).url, timeoutMs: config.database.statementTimeoutMs }),
    },
    MigrationStatus,
    Transactions,
  ],
  exports: [TypeOrmModule, PipelinedStatements, BoundedReads, SnapshotReads, MigrationStatus, Transactions],
})
export class DatabaseModule {}

function settings({ database }: AtriumConfig): DatabaseSettings {
  const { url } = database;
  if (url === undefined)
    throw new Error('The configuration has no database.url: start the embedded server first and set its url');
  return { ...database, url };
}

async function migratedDataSource(options?: DataSourceOptions): Promise<DataSource> {
  if (!options) throw new Error('The data source has no options');
  const dataSource = await new DataSource(options).initialize();
  try {
    await migrate(dataSource);
    return dataSource;
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
}
