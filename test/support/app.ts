import type { AddressInfo } from 'node:net';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Pool } from 'pg';
import { createApplication } from '../../src/application.js';
import { Clock } from '../../src/common/clock.js';
import { loadConfig } from '../../src/config/config.js';
import { createTestDatabase, templateOf } from './database.js';
import { testVariables, type Variables } from './variables.js';

export { TEST_SECRET, testVariables, type Variables } from './variables.js';

/** One running instance. */
export interface Instance {
  /** Without a slash at the end. */
  readonly url: string;
  readonly nest: NestExpressApplication;
  /** Moves the instance's clock, from where it is. The database's clock stays. */
  moveClock(ms: number): void;
  stop(): Promise<void>;
}

/** An instance with a database of its own, and whatever other instances were started on it. */
export interface TestApp extends Instance {
  readonly databaseUrl: string;
  /** Looks into the database, or arranges what has no route yet. */
  sql<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Another instance on the same database; stopped with this one. */
  startSecondInstance(overrides?: Variables): Promise<Instance>;
  /** Stops every instance and drops the database. */
  stop(): Promise<void>;
}

/** Starts Atrium on a copy of the migrated template, listening on a free port of 127.0.0.1. */
export async function startAtrium(overrides: Variables = {}): Promise<TestApp> {
  // How long events are kept decides on the partitions that a first start makes.
  const isUsual = overrides.EVENT_RETENTION_DAYS === undefined;
  const database = await createTestDatabase({ template: isUsual ? await startedTemplate() : undefined });
  const pool = new Pool({ connectionString: database.url, max: 4 });
  pool.on('error', () => undefined);
  const others: Instance[] = [];
  const cleanUp = async () => {
    await pool.end();
    await database.drop();
  };
  try {
    const first = await startInstance(database.url, overrides);
    return {
      ...first,
      databaseUrl: database.url,
      sql: async <Row extends object>(text: string, values: readonly unknown[] = []) =>
        (await pool.query<Row>(text, [...values])).rows,
      startSecondInstance: async (more: Variables = {}) => {
        const instance = await startInstance(database.url, { ...overrides, ...more });
        others.push(instance);
        return instance;
      },
      stop: async () => {
        for (const instance of [...others, first]) await instance.stop();
        await cleanUp();
      },
    };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

/** The migrated template with what a first start adds to it: partitions of the events, queues and their schedules. */
function startedTemplate(): Promise<string> {
  return (started ??= templateOf('started', async (url) => (await startInstance(url)).stop()));
}

let started: Promise<string> | undefined;

/** One instance on a database that somebody else looks after. */
export async function startInstance(databaseUrl: string, overrides: Variables = {}): Promise<Instance> {
  const config = loadConfig(testVariables(databaseUrl, overrides));
  const nest = await createApplication(config);
  let offset = 0;
  nest.get(Clock).now = () => Date.now() + offset;
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= nest.close());
  try {
    await nest.listen(0, '127.0.0.1');
  } catch (error) {
    await stop();
    throw error;
  }
  const server = nest.getHttpServer();
  // No client's idle connection is ended while a request may be on its way.
  server.keepAliveTimeout = 0;
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, nest, moveClock: (ms) => void (offset += ms), stop };
}
