import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm';
import { migrations } from '../../migrations/index.js';
import { dataSourceOptions } from '../../src/database/data-source.js';
import { migrate, pendingMigrations, revert } from '../../src/database/migrator.js';
import { type Instance, startAtrium, startInstance, type TestApp } from '../support/app.js';
import { createTestDatabase } from '../support/database.js';
import { http } from '../support/http.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { closeSockets, connectAndJoin, seqOf } from '../support/sockets.js';
import { until } from '../support/until.js';
import { lint } from './migration-linter.js';

/** What the next release might bring, as the linter demands it. */
class ExpandItems9000000000001 implements MigrationInterface {
  readonly name = 'ExpandItems9000000000001';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE items ADD COLUMN label text, ADD COLUMN rank integer NOT NULL DEFAULT 0,
        ADD CONSTRAINT items_rank_check CHECK (rank >= 0) NOT VALID`);
    await runner.query(
      `CREATE TABLE labels (id uuid CONSTRAINT labels_pkey PRIMARY KEY, name text NOT NULL)`,
    );
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE labels`);
    await runner.query(`ALTER TABLE items DROP COLUMN label, DROP COLUMN rank`);
  }
}

class ExpandEvents9000000000002 implements MigrationInterface {
  readonly name = 'ExpandEvents9000000000002';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE events ADD COLUMN origin text`);
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE events DROP COLUMN origin`);
  }
}

class IndexLabels9000000000003 implements MigrationInterface {
  readonly name = 'IndexLabels9000000000003';
  readonly transaction = false;
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS items_label_idx`);
    await runner.query(`CREATE INDEX CONCURRENTLY items_label_idx ON items (workspace_id, label)`);
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX CONCURRENTLY items_label_idx`);
  }
}

class ValidateRank9000000000004 implements MigrationInterface {
  readonly name = 'ValidateRank9000000000004';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE items VALIDATE CONSTRAINT items_rank_check`);
  }
  async down(): Promise<void> {
    // It goes with its column.
  }
}

const NEXT = [
  ExpandItems9000000000001,
  ExpandEvents9000000000002,
  IndexLabels9000000000003,
  ValidateRank9000000000004,
];
const LIMITS = { poolSize: 2, statementTimeoutMs: 10_000 };

let app: TestApp;
let ada: Person;
const open: DataSource[] = [];
let working: ReturnType<typeof load> | undefined;
beforeAll(async () => {
  app = await startAtrium();
  ada = await registerUser(app);
});
afterEach(closeSockets);
afterAll(async () => {
  await working?.stop().catch(() => undefined);
  for (const dataSource of open) await dataSource.destroy();
  await app.stop();
});

async function connect(
  url: string,
  list: (new () => MigrationInterface)[] = migrations,
): Promise<DataSource> {
  const options = { ...dataSourceOptions({ ...LIMITS, url }), migrations: list };
  const dataSource = await new DataSource(options).initialize();
  open.push(dataSource);
  return dataSource;
}

const newer = () => connect(app.databaseUrl, [...migrations, ...NEXT]);
const ready = async ({ url }: { url: string }) => (await http({ url }).get('/health/ready')).status;

/** Reads and writes without a pause until it is stopped; answers with the status of each request. */
function load(): { count: () => number; stop: () => Promise<number[]> } {
  const statuses: number[] = [];
  let stopped = false;
  const person = async () => {
    while (!stopped) {
      const { id } = await createItem(ada);
      const answers = [
        await ada.http.patch(`/v1/items/${id}`, { data: { done: true } }),
        await ada.http.get(`/v1/items/${id}`),
        await ada.http.get('/v1/items?limit=5'),
        await ada.http.get('/v1/items?filter[type]=task&limit=5'),
        await ada.http.delete(`/v1/items/${id}`),
      ];
      statuses.push(201, ...answers.map(({ status }) => status));
    }
  };
  const people = Promise.all(Array.from({ length: 3 }, person));
  return {
    count: () => statuses.length,
    stop: async () => {
      stopped = true;
      await people;
      return statuses;
    },
  };
}

describe('The version before', () => {
  it('serves while the migrations of the next one are applied, and taken back: no failed request, no lost event', async () => {
    for (const each of NEXT) expect(await lint(new each())).toEqual([]);
    const room = `workspaces/${ada.workspaceId}`;
    const socket = await connectAndJoin(app, ada.token, room);
    const work = load();
    working = work;
    const more = (count: number) => {
      const goal = work.count() + count;
      return until(`${count} more requests`, () => work.count() >= goal);
    };
    await more(20);
    const dataSource = await newer();
    expect(await migrate(dataSource)).toEqual(NEXT.map(({ name }) => name));
    await more(40);
    // It does not mind what it does not know.
    expect(await ready(app)).toBe(200);
    const beside = await app.startSecondInstance();
    expect(await ready(beside)).toBe(200);
    for (const { name } of NEXT.toReversed()) expect(await revert(dataSource)).toBe(name);
    await more(20);
    const statuses = await work.stop();
    expect(statuses.filter((status) => status >= 300)).toEqual([]);

    const [stream] = await app.sql<{ head: string }>('SELECT head FROM streams WHERE id = $1', [
      ada.workspaceId,
    ]);
    await socket.received(room, Number(stream?.head));
    expect(socket.events(room).map(({ cursor }) => seqOf(cursor))).toEqual(
      Array.from({ length: Number(stream?.head) }, (_, n) => n + 1),
    );
  });
});

describe('A migration that does not get its lock', () => {
  it('lets the requests that wait behind it pass, and is tried again until it does', async () => {
    const item = await createItem(ada);
    const holder = new Client({ connectionString: app.databaseUrl });
    await holder.connect();
    const dataSource = await newer();
    try {
      // As an export or pg_dump does, for as long as it takes.
      await holder.query('BEGIN');
      await holder.query('SELECT count(*) FROM items');
      let applied = false;
      const migrating = migrate(dataSource).then(() => (applied = true));
      for (let round = 0; round < 2; round++) {
        await until('the migration waits for its lock', async () => {
          const waiting = await app.sql(
            `SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' AND relation = 'items'::regclass`,
          );
          return waiting.length > 0;
        });
        const { status, body } = await ada.http.patch<ItemAnswer>(`/v1/items/${item.id}`, {
          data: { round },
        });
        expect([status, body.data]).toEqual([200, expect.objectContaining({ round })]);
      }
      expect(applied).toBe(false);
      await holder.query('COMMIT');
      await migrating;
      expect(await pendingMigrations(dataSource)).toEqual([]);
    } finally {
      await holder.end();
    }
    expect(await migrate(dataSource)).toEqual([]);
  });
});

describe('With MIGRATE_AT_START off', () => {
  it('an instance waits until a job has applied what is pending, and is there then', async () => {
    const database = await createTestDatabase();
    let instance: Instance | undefined;
    try {
      const dataSource = await connect(database.url);
      const last = await revert(dataSource);
      let listening = false;
      const starting = startInstance(database.url, { MIGRATE_AT_START: 'off' }).then((started) => {
        listening = true;
        return (instance = started);
      });
      await until('it asks what is pending', async () => {
        const asking = await app.sql(
          `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND application_name = 'atrium' AND query LIKE '%FROM migrations m%'
             AND pid <> ALL ($2)`,
          [new URL(database.url).pathname.slice(1), await pidsOf(dataSource)],
        );
        return asking.length > 0;
      });
      expect(listening).toBe(false);
      expect(await pendingMigrations(dataSource)).toEqual([last]);
      await migrate(dataSource);
      expect(await ready(await starting)).toBe(200);
    } finally {
      await instance?.stop();
      for (const dataSource of open.splice(0)) await dataSource.destroy();
      await database.drop();
    }
  });
});

/** Of the connections that a data source may use. */
async function pidsOf(dataSource: DataSource): Promise<number[]> {
  const runners = Array.from({ length: LIMITS.poolSize }, () => dataSource.createQueryRunner());
  const pids = await Promise.all(
    runners.map(async (runner) => {
      const [row] = (await runner.query('SELECT pg_backend_pid() AS pid')) as [{ pid: number }];
      return row.pid;
    }),
  );
  for (const runner of runners) await runner.release();
  return pids;
}
