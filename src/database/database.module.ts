import { Logger, Module } from '@nestjs/common';
import { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { traces } from '../common/traces.js';
import { AtriumConfig } from '../config/config.js';
import { type DatabaseSettings, dataSourceOptions } from './data-source.js';
import { BoundedReads } from './bounded-reads.js';
import { isConnectionLoss, isPoolersRefusal } from './errors.js';
import { MigrationStatus } from './migration-status.js';
import { migrate, untilMigrated } from './migrator.js';
import { boundsOf, localSettings } from './sessions.js';
import { PipelinedStatements } from './pipelined-statements.js';
import { QuerySpans } from './query-spans.js';
import { SnapshotReads } from './snapshot-reads.js';
import { Transactions } from './transactions.js';

/** A database that starts beside the application (as containers do) is waited for: attempts, and ms between them. */
const RECONNECT = { retryAttempts: 20, retryDelay: 1_000 };

const POOLER_MEND =
  'DATABASE_URL leads to a pooler that takes no settings: set DATABASE_POOLER to transaction';

/** The one data source, migrated before anything uses it, and the two ways to write: statements and transactions. */
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [AtriumConfig],
      useFactory: (config: AtriumConfig): Options => ({
        ...dataSourceOptions(settings(config)),
        ...RECONNECT,
        // What a migration throws would be the same the next time.
        toRetry: isConnectionLoss,
        settings: settings(config),
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
        new BoundedReads({ ...settings(config), timeoutMs: config.lists.timeoutMs }),
    },
    {
      provide: SnapshotReads,
      inject: [AtriumConfig],
      useFactory: (config: AtriumConfig) =>
        new SnapshotReads({ ...settings(config), timeoutMs: config.database.statementTimeoutMs }),
    },
    {
      provide: Transactions,
      inject: [DataSource, AtriumConfig],
      useFactory: (dataSource: DataSource, { database: { pooled, statementTimeoutMs } }: AtriumConfig) =>
        new Transactions(
          dataSource,
          pooled ? localSettings(boundsOf('atrium', statementTimeoutMs)) : undefined,
        ),
    },
    MigrationStatus,
  ],
  exports: [TypeOrmModule, PipelinedStatements, BoundedReads, SnapshotReads, MigrationStatus, Transactions],
})
export class DatabaseModule {}

/** What the data source is made of, and where it is migrated. */
type Options = TypeOrmModuleOptions & { readonly settings: MigratedSettings };

type MigratedSettings = DatabaseSettings & Pick<AtriumConfig['database'], 'directUrl' | 'migrateAtStart'>;

function settings({ database }: AtriumConfig): MigratedSettings & { readonly named: boolean } {
  const { url } = database;
  if (url === undefined)
    throw new Error('The configuration has no database.url: start the embedded server first and set its url');
  return { ...database, url };
}

async function migratedDataSource(options?: DataSourceOptions): Promise<DataSource> {
  if (!options) throw new Error('The data source has no options');
  const { settings: address, ...own } = options as DataSourceOptions & Pick<Options, 'settings'>;
  const { pooled, directUrl, migrateAtStart } = address;
  const past = pooled && migrateAtStart ? directUrl : undefined;
  if (past !== undefined) await migrateAt({ ...address, url: past, pooled: false });
  const dataSource = await initialized(own);
  try {
    if (!migrateAtStart) await untilMigrated(dataSource, (line) => new Logger('Migrations').log(line));
    else if (past === undefined) await migrate(dataSource, address);
    if (traces !== undefined) dataSource.subscribers.push(new QuerySpans());
    return dataSource;
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
}

/** Past the pooler. */
async function migrateAt(address: DatabaseSettings): Promise<void> {
  const dataSource = await initialized({ ...dataSourceOptions({ ...address, poolSize: 2 }), entities: [] });
  try {
    await migrate(dataSource, address);
  } finally {
    await dataSource.destroy();
  }
}

async function initialized(options: DataSourceOptions): Promise<DataSource> {
  try {
    return await new DataSource(options).initialize();
  } catch (error) {
    throw isPoolersRefusal(error) ? new Error(POOLER_MEND, { cause: error }) : error;
  }
}
