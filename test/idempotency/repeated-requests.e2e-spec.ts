import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { IdempotencyKeys } from '../../src/idempotency/idempotency-keys.js';
import { type Instance, startAtrium, startInstance, type TestApp } from '../support/app.js';
import { http, type HttpClient } from '../support/http.js';
import { type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { startProxy } from '../support/severable-proxy.js';
import { until } from '../support/until.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let other: Instance;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium();
  other = await app.startSecondInstance();
  ada = await registerUser(app);
});
afterAll(() => app.stop());

const ITEM = { title: 'Once', type: 'task', data: { n: 1 } };
const create = (key: string, body: unknown = ITEM, client: HttpClient = ada.http) =>
  client.post<ItemAnswer>('/v1/items', body, { headers: { 'Idempotency-Key': key } });
const code = ({ status, body }: { status: number; body: unknown }) => [
  status,
  (body as { code?: string }).code,
];
const newKey = () => `"${randomUUID()}"`;
const kept = () => app.sql<{ state: string }>('SELECT state FROM idempotency_keys ORDER BY claimed_at DESC');

/** How many items of that title there are. */
async function count(title: string): Promise<number> {
  const [row] = await app.sql<{ count: string }>('SELECT count(*) FROM items WHERE title = $1', [title]);
  return Number(row.count);
}

/** Lets nobody write items until it is released. */
async function blockItems(): Promise<() => Promise<void>> {
  const client = new Client(app.databaseUrl);
  await client.connect();
  await client.query('BEGIN; LOCK TABLE items IN SHARE MODE');
  return () => client.end();
}

describe('A POST that is repeated under its Idempotency-Key', () => {
  it('is answered byte for byte as the first time, at another instance too, and done once', async () => {
    const [key, title] = [newKey(), randomUUID()];
    const first = await create(key, { ...ITEM, title });
    expect(first.status).toBe(201);
    expect(first.headers.has('idempotency-replayed')).toBe(false);
    await ada.http.patch(`/v1/items/${first.body.id}`, { data: { n: 2 } });
    for (const client of [ada.http, http(other, ada.token)]) {
      const again = await create(key, { ...ITEM, title }, client);
      expect([again.status, again.text]).toEqual([first.status, first.text]);
      for (const name of ['etag', 'location', 'stream-cursor', 'content-type', 'cache-control'])
        expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)]);
      expect(again.headers.get('idempotency-replayed')).toBe('true');
    }
    expect(await count(title)).toBe(1);
  });

  it('is done once of twenty at the same time at two instances; the others are told that it runs', async () => {
    const [key, title] = [newKey(), randomUUID()];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        create(key, { ...ITEM, title }, n % 2 ? ada.http : http(other, ada.token)),
      ),
    );
    expect(await count(title)).toBe(1);
    const done = answers.filter(({ status }) => status === 201);
    expect(done.length).toBeGreaterThan(0);
    expect(new Set(done.map(({ text }) => text)).size).toBe(1);
    for (const answer of answers.filter(({ status }) => status !== 201))
      expect(code(answer)).toEqual([409, 'idempotency_in_progress']);
  });

  it('is told 409 while the first runs; given up for lost after a minute, the first loses the right to do it', async () => {
    const [key, title] = [newKey(), randomUUID()];
    const release = await blockItems();
    const first = create(key, { ...ITEM, title });
    await until('the key is taken', async () => (await kept())[0]?.state === 'running');
    const meanwhile = await create(key, { ...ITEM, title });
    expect(code(meanwhile)).toEqual([409, 'idempotency_in_progress']);
    expect(meanwhile.headers.get('retry-after')).toBe('1');
    const claim = async () =>
      (await app.sql<{ claim: string }>(`SELECT claim FROM idempotency_keys WHERE state = 'running'`))[0]
        ?.claim;
    const lost = await claim();
    await app.sql(`UPDATE idempotency_keys SET claimed_at = claimed_at - interval '61 seconds'`);
    const second = create(key, { ...ITEM, title }, http(other, ada.token));
    await until('another has taken it', async () => (await claim()) !== lost);
    await release();
    const answers = await Promise.all([first, second]);
    expect(answers.map(code)).toEqual([
      [409, 'idempotency_in_progress'],
      [201, undefined],
    ]);
    expect((await create(key, { ...ITEM, title })).text).toBe(answers[1].text);
    expect(await count(title)).toBe(1);
  });

  it('with another body or for another route is refused, and nothing is done', async () => {
    const [key, title] = [newKey(), randomUUID()];
    await create(key);
    expect(code(await create(key, { ...ITEM, title }))).toEqual([422, 'idempotency_key_reused']);
    const elsewhere = await ada.http.post('/v1/workspaces', ITEM, { headers: { 'Idempotency-Key': key } });
    expect(code(elsewhere)).toEqual([422, 'idempotency_key_reused']);
    expect(await count(title)).toBe(0);
  });

  it('is another one for another principal', async () => {
    const [key, eve] = [newKey(), await registerUser(app)];
    const [one, two] = [await create(key), await create(key, ITEM, eve.http)];
    expect([one.status, two.status]).toEqual([201, 201]);
    expect(one.body.id).not.toBe(two.body.id);
  });

  it('may be mended after a refusal: errors are not kept', async () => {
    const [key, title] = [newKey(), randomUUID()];
    expect(code(await create(key, { ...ITEM, title: '' }))).toEqual([400, 'validation_failed']);
    expect(code(await create(key, { ...ITEM, workspaceId: randomUUID() }))).toEqual([404, 'not_found']);
    expect((await create(key, { ...ITEM, title })).status).toBe(201);
    expect(await count(title)).toBe(1);
  });

  it('may be sent with a quoted or a bare key, which is the same, and is refused with anything else', async () => {
    const uuid = randomUUID();
    const first = await create(uuid);
    expect((await create(`"${uuid}"`)).text).toBe(first.text);
    for (const wrong of ['', '""', '"a', 'a b', '"a", "b"', 'x'.repeat(256)])
      expect([wrong, ...code(await create(wrong))]).toEqual([wrong, 400, 'invalid_idempotency_key']);
  });

  it('works for whatever a principal posts: workspaces, invitations, rooms, also without content', async () => {
    const { id } = await createWorkspace(ada);
    for (const [path, body] of [
      ['/v1/workspaces', { name: 'Twice' }],
      [`/v1/workspaces/${id}/invitations`, { email: 'a@example.com', role: 'member' }],
      ['/v1/rooms', { name: 'r', visibility: 'public', workspaceId: id }],
      ['/v1/auth/resend-verification', undefined],
    ] as const) {
      const headers = { 'Idempotency-Key': newKey() };
      const [one, two] = [
        await ada.http.post(path, body, { headers }),
        await ada.http.post(path, body, { headers }),
      ];
      expect([path, two.headers.get('idempotency-replayed')]).toEqual([path, 'true']);
      expect([two.status, two.text]).toEqual([one.status, one.text]);
    }
  });

  it('is free again after 24 hours, and what has expired is removed', async () => {
    const [key, title] = [newKey(), randomUUID()];
    const first = await create(key, { ...ITEM, title });
    await app.sql(`UPDATE idempotency_keys SET expires_at = now()`);
    const second = await create(key, { ...ITEM, title });
    expect(second.status).toBe(201);
    expect(second.body.id).not.toBe(first.body.id);
    expect((await create(key, { ...ITEM, title })).text).toBe(second.text);
    const [{ hours }] = await app.sql<{ hours: number }>(
      `SELECT round(extract(epoch FROM max(expires_at) - max(claimed_at)) / 3600)::int AS hours FROM idempotency_keys`,
    );
    expect(hours).toBe(24);
    await app.nest.get(IdempotencyKeys, { strict: false }).purge();
    expect(await kept()).toHaveLength(1);
  });
});

describe('What is kept under an Idempotency-Key', () => {
  it('is nothing of a request without one, of GET, and of answers with tokens or secrets of an account', async () => {
    const before = (await kept()).length;
    await ada.http.post('/v1/items', ITEM);
    await ada.http.get('/v1/items', { headers: { 'Idempotency-Key': newKey() } });
    const headers = { 'Idempotency-Key': newKey() };
    const sent = { email: ada.user.email, password: ada.password };
    await http(app).post('/v1/auth/login', sent, { headers });
    const enrolment = await ada.http.post('/v1/auth/mfa/totp', undefined, { headers });
    expect(enrolment.status).toBe(201);
    const again = await ada.http.post('/v1/auth/mfa/totp', undefined, { headers });
    expect(again.headers.has('idempotency-replayed')).toBe(false);
    expect(await kept()).toHaveLength(before);
  });

  it('of an answer with a secret can be read by nobody but whoever sends the same key again', async () => {
    const key = randomUUID();
    const make = (client: HttpClient) =>
      client.post<{ id: string; clientSecret: string }>(
        '/v1/agents',
        { name: 'Once', kind: 'worker' },
        { headers: { 'Idempotency-Key': key } },
      );
    const first = await make(ada.http);
    const again = await make(http(other, ada.token));
    expect([again.status, again.text]).toEqual([201, first.text]);
    for (const name of ['etag', 'location', 'stream-cursor', 'cache-control', 'content-type'])
      expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)]);
    expect(again.headers.get('cache-control')).toBe('no-store');
    const rows = await app.sql("SELECT k::text, encode(key_hash, 'escape') AS hash FROM idempotency_keys k");
    expect(JSON.stringify(rows)).not.toContain(first.body.clientSecret);
    const [sealed] = await app.sql<{ body: string }>(
      `SELECT body FROM idempotency_keys WHERE headers ->> 'Cache-Control' = 'no-store'`,
    );
    expect(Buffer.from(sealed.body, 'base64').toString('latin1')).not.toContain(first.body.id);
    // Sealed for another key, or by another secret of the server: neither shown nor done again.
    await app.sql(`UPDATE idempotency_keys SET body = overlay(body placing 'AAAA' from 1) WHERE body = $1`, [
      sealed.body,
    ]);
    expect(code(await make(ada.http))).toEqual([409, 'idempotency_outcome_unknown']);
    const made = await app.sql(`SELECT FROM agents WHERE name = 'Once'`);
    expect(made).toHaveLength(1);
  });

  it('is neither the key nor the body of the request', async () => {
    const [key, secret] = [randomUUID(), randomUUID()];
    await ada.http.post(
      '/v1/auth/change-password',
      { currentPassword: ada.password, newPassword: secret, endOtherSessions: false },
      { headers: { 'Idempotency-Key': key } },
    );
    const rows = await app.sql("SELECT k::text, encode(key_hash, 'escape') AS hash FROM idempotency_keys k");
    expect(rows.length).toBeGreaterThan(0);
    expect(JSON.stringify(rows)).not.toContain(key);
    expect(JSON.stringify(rows)).not.toContain(secret);
  });
});

describe('While the database is gone', () => {
  it('a POST with a key is refused, and goes on afterwards', async () => {
    const proxy = await startProxy(app.databaseUrl);
    const cutOff = await startInstance(proxy.url);
    try {
      const client = http(cutOff, ada.token);
      const [key, title] = [newKey(), randomUUID()];
      expect((await create(newKey(), ITEM, client)).status).toBe(201);
      await proxy.cut();
      expect(code(await create(key, { ...ITEM, title }, client))).toEqual([503, 'unavailable']);
      expect(await count(title)).toBe(0);
      await proxy.mend();
      await until('it is done', async () => (await create(key, { ...ITEM, title }, client)).status === 201);
      expect(await count(title)).toBe(1);
    } finally {
      await cutOff.stop();
      await proxy.cut();
    }
  });
});
