import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';

/** A database of a suite's own. */
export interface TestDatabase {
  readonly url: string;
  /** Removes it, cutting whatever connections are left. */
  drop(): Promise<void>;
}

interface TestServer {
  readonly url: string;
  readonly template: string;
  readonly prefix: string;
}

const ATTEMPTS = 50;
const RETRY_MS = 100;

/** The superuser's URL on the run's server, for tests that need to look at the server itself. */
export function testServerUrl(): string {
  return testServer().url;
}

/**
 * A copy of the migrated template or of another one, or with `{ empty: true }` a database without any tables.
 * @param options `template`: as {@link templateOf} has named it
 */
export async function createTestDatabase(
  options: { readonly empty?: boolean; readonly template?: string | undefined } = {},
): Promise<TestDatabase> {
  const { prefix, template } = testServer();
  const name = `${prefix}${process.env.JEST_WORKER_ID ?? '0'}_${randomBytes(5).toString('hex')}`;
  const source = options.empty ? 'template0' : (options.template ?? template);
  await onServer((client) => client.query(copy(name, source)));
  return { url: urlOf(name), drop: () => onServer((client) => client.query(drop(name))) };
}

/**
 * Another template, which is the migrated one with more in it; whichever worker asks first makes it, once in a run.
 * @param make is given the database's URL, and leaves it without connections
 * @returns its name
 */
export async function templateOf(name: string, make: (url: string) => Promise<void>): Promise<string> {
  const { prefix, template } = testServer();
  const database = `${prefix}${name}`;
  await onServer(async (client) => {
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [database]);
    const finished = 'SELECT FROM pg_database WHERE datname = $1 AND NOT datallowconn';
    if ((await client.query(finished, [database])).rowCount !== 0) return;
    await client.query(drop(database));
    await client.query(copy(database, template));
    await make(urlOf(database));
    const close = `ALTER DATABASE ${database} ALLOW_CONNECTIONS false`;
    await client.query(close);
  });
  return database;
}

const copy = (name: string, template: string): string =>
  `CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY FILE_COPY`;
const drop = (name: string): string => `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`;

function urlOf(name: string): string {
  const url = new URL(testServer().url);
  url.pathname = `/${name}`;
  return url.href;
}

function testServer(): TestServer {
  const found = process.env.ATRIUM_TEST_SERVER;
  if (found === undefined) throw new Error('No test server: run the tests with npm test');
  return JSON.parse(found) as TestServer;
}

async function onServer(work: (client: Client) => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const client = new Client({ connectionString: testServer().url });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await work(client);
      return;
    } catch (error) {
      // Somebody else copies or looks at the template at this moment (object in use).
      const inUse = error instanceof DatabaseError && error.code === '55006';
      if (!inUse || attempt === ATTEMPTS) throw error;
    } finally {
      await client.end();
    }
    await delay(RETRY_MS);
  }
}
