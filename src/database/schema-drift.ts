import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { type DatabaseSettings, dataSourceOptions } from './data-source.js';
import { migrate } from './migrator.js';

/** A statement of a migration. */
export interface SchemaChange {
  readonly query: string;
  readonly parameters: readonly unknown[];
}

/** What the migrations lack for the entities, and how to take it back. Both empty: they agree. */
export interface SchemaDrift {
  readonly up: readonly SchemaChange[];
  readonly down: readonly SchemaChange[];
}

/** The classes to compare. */
export type SchemaSource = Pick<DataSourceOptions, 'entities' | 'migrations'>;

/**
 * Compares the entities with what the migrations make of an empty database: a scratch one on the same server,
 * dropped afterwards, so that the answer does not depend on any database's state. The user must be allowed to
 * create databases.
 */
export async function schemaDrift(
  settings: DatabaseSettings,
  source: SchemaSource = {},
): Promise<SchemaDrift> {
  return withScratchDatabase(settings.url, async (url) => {
    const dataSource = new DataSource({
      ...dataSourceOptions({ ...settings, url }),
      ...source,
    });
    await dataSource.initialize();
    try {
      await migrate(dataSource);
      const { upQueries, downQueries } = await dataSource.driver.createSchemaBuilder().log();
      const change = ({ query, parameters }: { query: string; parameters?: unknown[] }) => ({
        query,
        parameters: parameters ?? [],
      });
      return { up: upQueries.map(change), down: downQueries.map(change).toReversed() };
    } finally {
      await dataSource.destroy();
    }
  });
}

async function withScratchDatabase<T>(serverUrl: string, work: (url: string) => Promise<T>): Promise<T> {
  const name = `atrium_scratch_${randomBytes(6).toString('hex')}`;
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const server = new Client({ connectionString: serverUrl });
  server.on('error', () => undefined);
  await server.connect();
  try {
    const create = `CREATE DATABASE ${name} TEMPLATE template0`;
    await server.query(create);
    try {
      return await work(url.href);
    } finally {
      const drop = `DROP DATABASE ${name} WITH (FORCE)`;
      await server.query(drop);
    }
  } finally {
    await server.end();
  }
}
