import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { checkPooler } from '../../src/cli/pooler-check.js';
import { loadConfig } from '../../src/config/config.js';
import { BoundedReads, ReadTooSlowError } from '../../src/database/bounded-reads.js';
import { PipelinedStatements } from '../../src/database/pipelined-statements.js';
import { Transactions } from '../../src/database/transactions.js';
import { type Instance, startInstance, testVariables, type Variables } from '../support/app.js';
import { ask } from '../support/database-embedded.js';
import { createTestDatabase, testServerUrl, type TestDatabase } from '../support/database.js';
import { startAgent } from '../support/agents.js';
import { http } from '../support/http.js';
import { claim, lease } from '../support/leases.js';
import {
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { startPgBouncer, type TestPgBouncer } from '../support/pgbouncer.js';
import { closeSockets, connectAndJoin, seqOf } from '../support/sockets.js';
import { until } from '../support/until.js';

let pooler: TestPgBouncer;
beforeAll(async () => void (pooler = await startPgBouncer(testServerUrl())));
afterAll(() => pooler.stop());

describe.each([
  ['that listens and migrates past it', true],
  ['that knows of nothing else', false],
])('Through a pooler in transaction mode, Atrium %s', (_, direct) => {
  let database: TestDatabase;
  let app: Instance;
  let elsewhere: Instance;
  let ada: Person;
  beforeAll(async () => {
    database = await createTestDatabase({ empty: true });
    // Whatever the server's own settings are: nothing of ours is to come from there.
    const name = new URL(database.url).pathname.slice(1);
    await ask(database.url, `ALTER DATABASE ${name} SET timezone = 'Asia/Kolkata'`);
    await ask(database.url, `ALTER DATABASE ${name} SET datestyle = 'German'`);
    const variables = {
      DATABASE_POOLER: 'transaction',
      LIST_TIMEOUT_MS: '300',
      ...(direct && { DATABASE_DIRECT_URL: database.url }),
    };
    // Both find the database empty.
    [app, elsewhere] = await Promise.all([
      startInstance(pooler.url(database.url), variables),
      startInstance(pooler.url(database.url), variables),
    ]);
    ada = await registerUser(app);
  });
  afterEach(closeSockets);
  afterAll(async () => {
    await Promise.all([app.stop(), elsewhere.stop()]);
    await database.drop();
  });

  it('listens where somebody is told, and nowhere else', async () => {
    const rows = await ask(
      database.url,
      `SELECT FROM pg_stat_activity
       WHERE datname = current_database() AND (query LIKE 'LISTEN%' OR application_name = 'atrium bus')`,
    );
    expect(rows).toHaveLength(direct ? 2 : 0);
    expect((await http(app).get('/health/ready')).status).toBe(200);
  });

  it('writes, reads and lists, with times as they are, however many ask at once', async () => {
    const items = await Promise.all(Array.from({ length: 40 }, (_, n) => createItem(ada, { data: { n } })));
    const [first] = items;
    expect(Math.abs(Date.parse(first.createdAt) - Date.now())).toBeLessThan(600_000);
    const patched = await Promise.all(
      items.map(({ id }, n) => ada.http.patch<ItemAnswer>(`/v1/items/${id}`, { data: { m: n } })),
    );
    expect(patched.map(({ status }) => status)).toEqual(items.map(() => 200));
    expect(patched[7].body.data).toEqual({ n: 7, m: 7 });
    const [id] = items.map((item) => item.id);
    const patch = [{ op: 'replace', path: '/data/n', value: 'new' }];
    const headers = { 'Content-Type': 'application/json-patch+json' };
    expect((await ada.http.call('PATCH', `/v1/items/${id}`, { json: patch, headers })).status).toBe(200);
    const batch = await ada.http.post('/v1/items/batch', {
      operations: [
        { op: 'create', item: { title: 'b', type: 'batch', data: {} } },
        { op: 'delete', id: items[1].id },
      ],
    });
    expect(batch.status).toBe(200);
    const listed = await Promise.all(
      Array.from({ length: 10 }, () =>
        ada.http.get<PageAnswer<ItemAnswer>>('/v1/items?filter[data.m][gte]=35&sort=-createdAt'),
      ),
    );
    for (const { body } of listed) expect(body.data.map(({ data }) => data.m)).toEqual([39, 38, 37, 36, 35]);
    expect((await ada.http.get(`/v1/items/${id}/history`)).status).toBe(200);
    const exported = await ada.http.get('/v1/items/export?filter[type]=task');
    expect(exported.text.split('\n').filter(Boolean)).toHaveLength(39);
  });

  it('tells the sockets of every instance, in order, and of the end of a session', async () => {
    const person = await registerUser(elsewhere);
    const room = `workspaces/${person.workspaceId}`;
    const there = await connectAndJoin(app, person.token, room);
    for (let n = 0; n < 20; n++) await createItem(person);
    await there.received(room, 20);
    expect(there.events(room).map(({ cursor }) => seqOf(cursor))).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 1),
    );
    await person.http.post('/v1/auth/logout');
    expect((await there.closed).code).toBe(4003);
  });

  it('does its jobs: an import is done to the end', async () => {
    const person = await registerUser(app);
    const raw = Array.from({ length: 600 }, (_, n) => `{"title":"${n}","type":"x","data":{}}\n`).join('');
    const { body } = await person.http.call<{ id: string }>('POST', '/v1/items/import', {
      raw,
      headers: { 'Content-Type': 'application/x-ndjson' },
    });
    const done = await until('the import has ended', async () => {
      const answer = await person.http.get<{ state: string; created: number }>(
        `/v1/items/imports/${body.id}`,
      );
      return ['done', 'failed'].includes(answer.body.state) && answer.body;
    });
    expect(done).toMatchObject({ state: 'done', created: 600 });
  });

  it('leases items to agents, each to one', async () => {
    const person = await registerUser(app);
    for (let n = 0; n < 6; n++) await createItem(person, { type: 'job' });
    const agents = await Promise.all(
      [app, elsewhere].map((instance) =>
        startAgent(instance, person, ['leases', 'items:write', 'items:read']),
      ),
    );
    const claimed = await Promise.all(
      agents.map((agent) => claim(agent, 'job', { limit: 4, ttlSeconds: 60 })),
    );
    const ids = claimed.flat().map(({ item }) => item.id);
    expect(new Set(ids).size).toBe(6);
    const [agent] = agents;
    for (const each of claimed[0]) expect((await lease(agent, each, 'complete')).status).toBe(200);
  });

  it('bounds what it asks, and leaves nothing of that to whoever is lent the connection next', async () => {
    const { nest } = app;
    await expect(nest.get(BoundedReads).run('SELECT pg_sleep(5)', [])).rejects.toBeInstanceOf(
      ReadTooSlowError,
    );
    const [own] = await nest
      .get(Transactions)
      .run((manager) =>
        manager.query<{ at: string }[]>(
          `SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout')) AS at`,
        ),
      );
    expect(own.at).toBe('15s 3s');
    const asked = {
      name: 'test.settings',
      text: `SELECT current_setting('statement_timeout') AS limit,
      current_setting('jit') AS jit, current_setting('default_transaction_read_only') AS readonly`,
    };
    const all = await Promise.all(
      Array.from({ length: 50 }, () => nest.get(PipelinedStatements).run<object>(asked)),
    );
    const [[usual]] = [await ask<object>(database.url, asked.text)];
    for (const [settings] of all) expect(settings).toEqual(usual);
  });
});

describe('The doctor', () => {
  const look = (url: string, overrides: Variables = {}) =>
    checkPooler(url, loadConfig(testVariables(url, overrides)));

  it('tells where a pooler stands, and whether it is used as what it is', async () => {
    const database = await createTestDatabase();
    const pooled = { DATABASE_POOLER: 'transaction' };
    const through = pooler.url(database.url);
    try {
      expect(await look(database.url)).toMatchObject({ state: 'ok', detail: 'there is none' });
      expect(await look(database.url, pooled)).toMatchObject({ state: 'warning' });
      expect(await look(through, { ...pooled, DATABASE_NAMED_STATEMENTS: 'on' })).toMatchObject({
        state: 'failed',
        detail: expect.stringContaining('DATABASE_NAMED_STATEMENTS to off'),
      });
      expect(await look(through, pooled)).toMatchObject({
        state: 'warning',
        detail: expect.stringContaining('no time limit'),
      });
      const name = new URL(database.url).pathname.slice(1);
      await ask(database.url, `ALTER DATABASE ${name} SET statement_timeout = '15s'`);
      // A connection that the pooler keeps has begun before that.
      await ask(
        testServerUrl(),
        `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1`,
        [name],
      );
      const found = await until('a new connection is lent', () =>
        look(through, pooled).catch(() => undefined),
      );
      expect(found).toEqual({ state: 'ok', detail: 'used as one' });
    } finally {
      await database.drop();
    }
  });
});

describe('A pooler that nobody told Atrium of', () => {
  it('ends the start, with the mend', async () => {
    const database = await createTestDatabase({ empty: true });
    try {
      await expect(startInstance(pooler.url(database.url))).rejects.toThrow(
        'set DATABASE_POOLER to transaction',
      );
    } finally {
      await database.drop();
    }
  });
});
