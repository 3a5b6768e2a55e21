import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { testVariables } from '../support/app.js';
import { builtMain } from '../support/build.js';
import { logLines } from '../support/log-lines.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { http } from '../support/http.js';
import { registerUser } from '../support/people.js';
import { type AtriumProcess, spawnAtrium } from '../support/process.js';
import { RawConnection } from '../support/raw-connection.js';
import { until } from '../support/until.js';

let database: TestDatabase;
let running: AtriumProcess[] = [];
beforeAll(async () => {
  [database] = await Promise.all([createTestDatabase(), builtMain()]);
}, 180_000);
afterEach(async () => {
  for (const atrium of running) await atrium.kill();
  running = [];
});
afterAll(() => database.drop());

async function start(variables: Record<string, string> = {}): Promise<AtriumProcess> {
  const atrium = await spawnAtrium({ ...testVariables(database.url), ...variables });
  running.push(atrium);
  return atrium;
}

/** Keeps every write of items waiting until `release`. */
async function holdItems(): Promise<{ waiting: () => Promise<boolean>; release: () => Promise<void> }> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  await client.query('BEGIN');
  await client.query('LOCK TABLE items IN ACCESS EXCLUSIVE MODE');
  return {
    waiting: async () => {
      const { rows } = await client.query(
        `SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'items'::regclass`,
      );
      return rows.length > 0;
    },
    release: async () => {
      await client.query('COMMIT');
      await client.end();
    },
  };
}

describe('The first start', () => {
  it('prints the address, that of the reference, and a first request that works when it is copied', async () => {
    const atrium = await start({ NODE_ENV: 'development' });
    const url = await atrium.url();
    expect(url).toMatch(/^http:\/\/localhost:[1-9]\d*$/);
    const output = await until('it has greeted', () => /-d '.*'\n/.test(atrium.output()) && atrium.output());
    expect(output).toContain(`${url}/docs`);
    const [, method, address, type, body] =
      /curl -X (\w+) (\S+) -H 'Content-Type: (\S+)' \\\n {2}-d '(.*)'\n/.exec(output) ?? [];
    const answer = await http({ url }).call(method, address, {
      raw: body,
      headers: { 'Content-Type': type },
    });
    expect(answer.status).toBe(201);
  });
});

describe.each(['SIGTERM', 'SIGINT'] as const)('On %s', (signal) => {
  it('the request under way is finished and answered, connections without one are closed, and the process ends with 0; the log tells of both ends', async () => {
    const atrium = await start({ DRAIN_TIMEOUT_MS: '60000', LOG_LEVEL: 'log' });
    const url = await atrium.url();
    const ada = await registerUser({ url });
    const unused = await RawConnection.open(url);
    const used = await RawConnection.open(url);
    const items = await holdItems();
    used.post('/v1/items', ada.token, { title: 'in time', type: 'x', data: {} });
    await until('the write is under way', items.waiting);

    atrium.child.kill(signal);
    await until('no new connections', async () => {
      const refused = await fetch(`${url}/health/ready`, { headers: { Connection: 'close' } }).then(
        ({ status }) => status === 503,
        () => true,
      );
      return refused;
    });
    await items.release();
    await until('the answer', () => used.received.startsWith('HTTP/1.1 201'));
    used.keepAlive();
    expect(await atrium.exited).toBe(0);
    // Neither did anything to be closed, and the limit, which would have cut them, was not reached.
    expect([unused.ended, used.ended]).toEqual([false, false]);
    expect(atrium.output()).not.toMatch(/is cut/);
    const told = logLines(atrium).filter(({ module }) => module === 'Shutdown');
    expect(told.map(({ msg }) => msg)).toEqual([`Stopping on ${signal}`, 'Stopped']);
  });
});

describe('In the grace after the signal', () => {
  it('the process is not ready, and answers whatever it is asked', async () => {
    const atrium = await start({ DRAIN_GRACE_MS: '60000' });
    const url = await atrium.url();
    const ada = await registerUser({ url });
    atrium.child.kill('SIGTERM');
    await until('not ready', async () => (await http({ url }).get('/health/ready')).status === 503);
    const answer = await ada.http.post('/v1/items', { title: 'in the grace', type: 'x', data: {} });
    expect([answer.status, answer.headers.get('connection')]).toEqual([201, 'close']);
  });
});

describe('A request that outlasts the drain', () => {
  it('is cut after DRAIN_TIMEOUT_MS, so that the process ends', async () => {
    const atrium = await start({ DRAIN_TIMEOUT_MS: '300', LOG_LEVEL: 'warn' });
    const ada = await registerUser({ url: await atrium.url() });
    const items = await holdItems();
    const answer = ada.http.post('/v1/items', { title: 'late', type: 'x', data: {} }).catch(() => 'cut');
    await until('the write is under way', items.waiting);
    atrium.child.kill('SIGTERM');
    expect(await answer).toBe('cut');
    await items.release();
    expect(typeof (await atrium.exited)).toBe('number');
    expect(atrium.output()).toMatch(/not answered after 300 ms is cut/);
  });
});

describe('A start that waits for migrations', () => {
  it('is ended by a signal within DRAIN_TIMEOUT_MS, with 0', async () => {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query(
      'DELETE FROM migrations WHERE id = (SELECT max(id) FROM migrations) RETURNING timestamp, name',
    );
    const atrium = await start({ MIGRATE_AT_START: 'off', DRAIN_TIMEOUT_MS: '300', LOG_LEVEL: 'log' });
    await until('it waits', () => /Waiting until 1 migrations/.test(atrium.output()));
    atrium.child.kill('SIGTERM');
    expect(await atrium.exited).toBe(0);
    expect(atrium.output()).toMatch(/Was still starting after 300 ms/);
    await client.query(
      'INSERT INTO migrations (timestamp, name) SELECT * FROM json_to_record($1) AS x (timestamp bigint, name text)',
      [JSON.stringify(rows[0])],
    );
    await client.end();
  });
});

describe('A start that cannot be', () => {
  it.each<[Record<string, string>, string]>([
    [{ PORT: 'http' }, 'PORT must be a port number from 0 to 65535'],
    [{ TOKEN_SECRET: 'short' }, 'TOKEN_SECRET must have at least 32 characters'],
    [{ NODE_ENV: 'production', CORS_ORIGINS: '*' }, 'CORS_ORIGINS must not be * in production'],
    // What somebody takes for the place of the keys.
    [{ TOKEN_KEYS_FILE: '{"keys":[{"d":"hunter2"}]}' }, 'TOKEN_KEYS_FILE must name a JWK Set'],
  ])('for %j ends at once, not with 0, and says what to mend', async (variables, mend) => {
    const atrium = await start(variables);
    expect(await atrium.exited).toBe(78);
    expect(atrium.output()).toContain(mend);
    expect(atrium.output()).not.toMatch(/\bat \S+ \(|node:internal|hunter2/);
    // In production it is a log from the first line on.
    if (variables['NODE_ENV'] === 'production')
      expect(logLines(atrium)).toEqual(
        atrium
          .output()
          .trim()
          .split('\n')
          .map(() => expect.objectContaining({ level: 'fatal' })),
      );
  });

  it('on a port that is taken says so', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const atrium = await start({ PORT: String(port) });
    expect(await atrium.exited).toBe(1);
    expect(atrium.output()).toMatch(/could not start.*EADDRINUSE/);
    other.close();
  });
});
