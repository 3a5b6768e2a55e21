import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { reasonOf } from '../common/reason.js';
import { type AtriumConfig, loadConfig } from '../config/config.js';
import { dataSourceOptions } from '../database/data-source.js';
import { startEmbedded } from '../database/embedded.js';
import { isConnectionLoss } from '../database/errors.js';
import { pendingMigrations } from '../database/migrator.js';
import { commandSettings } from '../database/settings.js';
import { CliError } from './cli-error.js';

/** Where a command finds its variables. */
export type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Lends a connection to the database that Atrium uses, the embedded one included, which it starts if it does not run.
 * @throws {import('../config/configuration-error.js').ConfigurationError}
 * @throws {CliError} if the database cannot be reached
 */
export async function withDatabase<T>(
  variables: Variables,
  work: (dataSource: DataSource, url: string) => Promise<T>,
): Promise<T> {
  return withUrl(variables, async (url) => {
    const settings = { ...commandSettings(variables), url, poolSize: 2 };
    const dataSource = await connect(new DataSource(dataSourceOptions(settings)));
    try {
      return await work(dataSource, url);
    } finally {
      await dataSource.destroy();
    }
  });
}

/** As {@link withDatabase}. @throws {CliError} also if the database is not as this build needs it */
export async function withMigrated<T>(
  variables: Variables,
  work: (dataSource: DataSource, url: string) => Promise<T>,
): Promise<T> {
  return withDatabase(variables, async (dataSource, url) => {
    const pending = await pendingMigrations(dataSource);
    if (pending.length > 0)
      throw new CliError(
        `The database lacks ${pending.length} migrations of this build. Apply them with: npm run migration:run`,
      );
    return work(dataSource, url);
  });
}

/**
 * Lends Atrium's own services, without a server: whatever changes something goes through them, with its events, audit
 * entries and news to the instances.
 */
export async function withServices<T>(
  variables: Variables,
  work: (services: INestApplicationContext) => Promise<T>,
): Promise<T> {
  return withMigrated(variables, async (_, url) => {
    const config: AtriumConfig = loadConfig({ ...variables, DATABASE_URL: url });
    // It takes a while to load, and only some commands need it.
    const { CliModule } = await import('./cli.module.js');
    const services = await NestFactory.createApplicationContext(CliModule.register(config), {
      logger: ['warn', 'error', 'fatal'],
      abortOnError: false,
    });
    try {
      return await work(services);
    } finally {
      await services.close();
    }
  });
}

async function withUrl<T>(variables: Variables, work: (url: string) => Promise<T>): Promise<T> {
  const { url, dataDir } = commandSettings(variables);
  if (url !== undefined) return work(url);
  const server = await startEmbedded({ dataDir, log: (line) => void process.stderr.write(`${line}\n`) });
  try {
    return await work(server.url);
  } finally {
    await server.stop();
  }
}

async function connect(dataSource: DataSource): Promise<DataSource> {
  try {
    return await dataSource.initialize();
  } catch (error) {
    if (isConnectionLoss(error))
      throw new CliError(`The database cannot be reached: ${reasonOf(error)}`, { cause: error });
    throw error;
  }
}
