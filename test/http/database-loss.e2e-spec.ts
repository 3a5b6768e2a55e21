import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ManagementServer } from '../../src/observability/management/management-server.js';
import { type Instance, startInstance } from '../support/app.js';
import { ask } from '../support/database-embedded.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { http } from '../support/http.js';
import { createItem, type ItemAnswer, PASSWORD, type Person, registerUser } from '../support/people.js';
import { type SeverableProxy, startProxy } from '../support/severable-proxy.js';
import { until } from '../support/until.js';

let database: TestDatabase;
let proxy: SeverableProxy;
let app: Instance;
let ada: Person;
beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await startProxy(database.url);
  app = await startInstance(proxy.url, { MANAGEMENT_PORT: '0' });
  ada = await registerUser(app);
});
afterAll(async () => {
  await app.stop();
  await proxy.cut();
  await database.drop();
});

/** What Prometheus is told of the database. */
async function databaseUp(): Promise<string | undefined> {
  const management = { url: `http://127.0.0.1:${app.nest.get(ManagementServer).port}` };
  const { status, text } = await http(management).get('/metrics');
  expect(status).toBe(200);
  return /^atrium_database_up (\d)$/m.exec(text)?.[1];
}

const probe = async (name: string) => (await http(app).get(`/health/${name}`)).status;

describe('While the database is gone', () => {
  it('requests are answered 503 to come again, probes tell it, and all recovers by itself', async () => {
    const { id } = await createItem(ada);
    expect(await probe('ready')).toBe(200);

    await proxy.cut();
    const answers = [
      await ada.http.get(`/v1/items/${id}`),
      await ada.http.get('/v1/items'),
      await ada.http.get('/v1/me'),
      await ada.http.post('/v1/items', { title: 'x', type: 'x', data: {} }),
      await ada.http.patch(`/v1/items/${id}`, { title: 'x' }),
      await ada.http.delete(`/v1/items/${id}`),
      await http(app).post('/v1/auth/login', { email: ada.user.email, password: PASSWORD }),
      await http(app).post('/v1/auth/refresh', { refreshToken: ada.refreshToken }),
    ];
    for (const { status, headers, body, text } of answers) {
      expect(status).toBe(503);
      expect(headers.get('retry-after')).toMatch(/^\d+$/);
      expect(body.code).toBe('unavailable');
      expect(text).not.toMatch(/ECONN|5432|127\.0\.0\.1|postgres/i);
    }
    expect(await probe('ready')).toBe(503);
    expect(await probe('live')).toBe(200);
    expect(await databaseUp()).toBe('0');

    await proxy.mend();
    await until('ready again', async () => (await probe('ready')) === 200);
    expect(await databaseUp()).toBe('1');
    await until('reads again', async () => (await ada.http.get(`/v1/items/${id}`)).status === 200);
    expect((await ada.http.patch(`/v1/items/${id}`, { title: 'after' })).status).toBe(200);
    expect((await ada.http.get('/v1/me')).status).toBe(200);
  });

  it('a request under way is answered, not left hanging', async () => {
    const item = await createItem(ada);
    const answers = Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        ada.http.patch(`/v1/items/${item.id}`, { data: { [`k${n}`]: n } }),
      ),
    );
    await proxy.cut();
    for (const { status } of await answers) expect([200, 503]).toContain(status);
    await proxy.mend();
    await until(
      'writes again',
      async () => (await ada.http.patch(`/v1/items/${item.id}`, {})).status === 200,
    );
  });
});

describe('While the database has no room', () => {
  it('writes are answered 503 to come again, and nothing is half done; reads go on', async () => {
    const item = await createItem(ada);
    // As the server says it, whatever it is full of.
    await ask(
      database.url,
      `CREATE FUNCTION refuse_full() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
       CREATE TRIGGER full_disk BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse_full()`,
    );
    const answers = await Promise.all([
      ada.http.post('/v1/items', { title: 'x', type: 'x', data: {} }),
      ada.http.patch(`/v1/items/${item.id}`, { title: 'x' }),
      ada.http.patch(`/v1/workspaces/${ada.workspaceId}`, { name: 'x' }),
    ]);
    for (const { status, headers, body } of answers) {
      expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'unavailable', '1']);
      expect(body.detail).toBe('The database has no room for it; nothing was done. Try again later.');
    }
    expect((await ada.http.get<ItemAnswer>(`/v1/items/${item.id}`)).body.version).toBe(item.version);
    await ask(database.url, 'DROP TRIGGER full_disk ON events');
    expect((await ada.http.patch(`/v1/items/${item.id}`, { title: 'x' })).status).toBe(200);
  });
});
