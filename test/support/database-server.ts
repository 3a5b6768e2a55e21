/**
 * The PostgreSQL of one test run: started by global-setup, which it tells where the server and the migrated
 * template are, and ended by the closing of that channel, so also when the run is killed.
 */
import 'reflect-metadata';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source.js';
import { startEmbedded } from '../../src/database/embedded.js';
import { migrate } from '../../src/database/migrator.js';
import { makeRunFolder, placesOfRuns, removeRunFolder, sweepRunFolders } from './run-folder.js';

/** First half of the lock that a run holds on a shared server; the second is its number. */
const RUN_LOCK = 7_201_078;

interface Server {
  readonly url: string;
  /** What the names of the run's databases start with. */
  readonly prefix: string;
  /** Whatever the run keeps for itself goes here. */
  readonly folder: string;
  cleanUp(): Promise<void>;
}

/** A server in the run's folder. What is lost in a crash nobody misses. */
async function ownServer([place, ...others]: readonly string[]): Promise<Server> {
  const folder = await makeRunFolder(place);
  const settings = {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_wal_size: '256MB',
    // In the run's folder, with which it goes, also when the server is killed.
    dynamic_shared_memory_type: 'mmap',
  };
  try {
    const server = await startEmbedded({ dataDir: folder, log: () => undefined, settings });
    const cleanUp = () => server.stop().then(() => removeRunFolder(folder));
    await keepPasswordCheap(server.url);
    return { url: server.url, prefix: 'atrium_test_', folder, cleanUp };
  } catch (error) {
    await removeRunFolder(folder).catch(() => undefined);
    // Nothing may be executed there, for one, and root has the programs copied.
    if (others.length > 0) return ownServer(others);
    throw error;
  }
}

/** A run connects thousands of times, and each time a client works the password through all iterations of its hash. */
async function keepPasswordCheap(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('SET scram_iterations = 1');
    const again = `ALTER ROLE CURRENT_USER PASSWORD ${client.escapeLiteral(new URL(url).password)}`;
    await client.query(again);
  } finally {
    await client.end();
  }
}

/** Databases on a server of the developer's own, told from another run's by a number that this run holds locked. */
async function sharedServer(url: string, [place]: readonly [string, ...string[]]): Promise<Server> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  const tryLock = async (run: number) => {
    const { rows } = await client.query<{ got: boolean }>('SELECT pg_try_advisory_lock($1, $2) AS got', [
      RUN_LOCK,
      run,
    ]);
    return rows[0]?.got ?? false;
  };
  const dropAll = async (run: number) => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT datname AS name FROM pg_database WHERE datname LIKE $1`,
      [`atrium\\_test\\_${run}\\_%`],
    );
    for (const { name } of rows) {
      const drop = `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`;
      await client.query(drop);
    }
  };
  const { rows } = await client.query<{ run: string }>(
    `SELECT DISTINCT substring(datname FROM '^atrium_test_(\\d+)_') AS run FROM pg_database
     WHERE datname ~ '^atrium_test_\\d+_'`,
  );
  for (const { run } of rows) if (await tryLock(Number(run))) await dropAll(Number(run));
  const run = randomInt(2 ** 31);
  await tryLock(run);
  const folder = await makeRunFolder(place);
  const cleanUp = async () => {
    await removeRunFolder(folder);
    await dropAll(run).finally(() => client.end());
  };
  return { url, prefix: `atrium_test_${run}_`, folder, cleanUp };
}

/** The database that every suite's is a copy of. Closed to connections, which would keep it from being copied. */
async function createTemplate({ url, prefix }: Server): Promise<string> {
  const template = `${prefix}template`;
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const create = `CREATE DATABASE ${template} TEMPLATE template0 ENCODING 'UTF8'`;
    await client.query(create);
    const templateUrl = new URL(url);
    templateUrl.pathname = `/${template}`;
    const settings = { url: templateUrl.href, poolSize: 1, statementTimeoutMs: 60_000 };
    const dataSource = await new DataSource(dataSourceOptions(settings)).initialize();
    await migrate(dataSource).finally(() => dataSource.destroy());
    const close = `ALTER DATABASE ${template} ALLOW_CONNECTIONS false`;
    await client.query(close);
    return template;
  } finally {
    await client.end();
  }
}

// Registered first: the run may end while the server starts.
const runEnded = once(process, 'disconnect');
const { TEST_DATABASE_URL } = process.env;
const places = await placesOfRuns();
await sweepRunFolders(places);
const server = await (TEST_DATABASE_URL ? sharedServer(TEST_DATABASE_URL, places) : ownServer(places));
try {
  const template = await createTemplate(server);
  // With a callback, because a run that has ended meanwhile would otherwise end this process before it cleans up.
  const { url, prefix, folder } = server;
  process.send?.({ url, prefix, folder, template }, undefined, undefined, () => undefined);
  await runEnded;
} finally {
  await server.cleanUp();
}
