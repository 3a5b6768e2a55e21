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

/** A copy of the migrated template, or with `{ empty: true }` a database without any tables. */
export async function createTestDatabase(options: { readonly empty?: boolean } = {}): Promise<TestDatabase> {
  const { url: serverUrl, template, prefix } = testServer();
  const name = `${prefix}${process.env.JEST_WORKER_ID ?? '0'}_${randomBytes(5).toString('hex')}`;
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  await onServer(
    `CREATE DATABASE ${name} TEMPLATE ${options.empty ? 'template0' : template} STRATEGY FILE_COPY`,
  );
  return { url: url.href, drop: () => onServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

function testServer(): TestServer {
  const found = process.env.ATRIUM_TEST_SERVER;
  if (found === undefined) throw new Error('No test server: run the tests with npm test');
  return JSON.parse(found) as TestServer;
}

async function onServer(statement: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const client = new Client({ connectionString: testServer().url });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query(statement);
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
