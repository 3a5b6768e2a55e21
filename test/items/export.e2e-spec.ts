import { request } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import { startAgent } from '../support/agents.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { addMember, createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { until } from '../support/until.js';
import { createWorkspace, type WorkspaceAnswer } from '../support/workspaces.js';

let app: TestApp;
let ada: Person;
/** Has more in it than is under way to a reader that takes nothing. */
let workspace: WorkspaceAnswer;
beforeAll(async () => {
  app = await startAtrium();
  ada = await registerUser(app);
  workspace = await createWorkspace(ada);
  await fill(workspace.id, 2_500, 4_000);
});
afterAll(() => app.stop());

const lines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ItemAnswer);

/** Many items of some size, of which no socket hears. */
async function fill(workspaceId: string, count: number, size: number): Promise<void> {
  await app.sql(
    `INSERT INTO items (id, workspace_id, type, title, data, created_by, updated_by)
     SELECT gen_random_uuid(), $1, 'bulk', 'Item ' || n, jsonb_build_object('n', n, 'text', repeat(md5(n::text), $3)), $2, $2
     FROM generate_series(1, $2::text::int) n`.replace(`$2::text::int`, String(count)),
    [workspaceId, ada.user.id, Math.ceil(size / 32)],
  );
}

/** A reader that takes nothing until it is told to. */
async function slowReader(path: string, token = ada.token) {
  return new Promise<{ read: () => Promise<number>; close: () => void }>((resolve, reject) => {
    const call = request(`${app.url}${path}`, { headers: { Authorization: `Bearer ${token}` } });
    call.on('error', reject);
    call.on('response', (response) => {
      response.pause();
      resolve({
        read: () =>
          new Promise((done, fail) => {
            let bytes = 0;
            response.on('data', (part: Buffer) => (bytes += part.length));
            response.on('end', () => done(bytes));
            response.on('error', fail);
            response.resume();
          }),
        close: () => call.destroy(),
      });
    });
    call.end();
  });
}

describe('An export of items', () => {
  it('has every item of the workspace, a line of JSON each, as GET answers it, and says as of where', async () => {
    const person = await registerUser(app);
    const items = [];
    for (const title of ['first', 'sec"ond', 'dritte\nZeile €'])
      items.push(await createItem(person, { title, data: { nested: [1, { a: null }] } }));
    const { status, headers, text } = await person.http.get('/v1/items/export');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('application/x-ndjson');
    expect(headers.get('content-disposition')).toBe('attachment; filename="items.ndjson"');
    expect(lines(text)).toEqual(items.toReversed());
    const list = await person.http.get('/v1/items');
    expect(headers.get('stream-cursor')).toBe(list.headers.get('stream-cursor'));
  });

  it('filters, sorts, searches and chooses members as the list does', async () => {
    const person = await registerUser(app);
    for (const [title, n] of [
      ['Apples', 3],
      ['Pears', 1],
      ['Apples again', 2],
    ] as const)
      await createItem(person, { title, type: n > 1 ? 'much' : 'little', data: { n } });
    const titles = async (query: string) =>
      lines((await person.http.get(`/v1/items/export?${query}`)).text).map((item) => item.title);
    expect(await titles('sort=data.n')).toEqual(['Pears', 'Apples again', 'Apples']);
    expect(await titles('filter[type]=much&sort=title')).toEqual(['Apples', 'Apples again']);
    expect((await titles('q=apples')).toSorted()).toEqual(['Apples', 'Apples again']);
    const { text } = await person.http.get('/v1/items/export?fields=title,version&sort=title');
    expect(text.split('\n')[0]).toBe('{"title":"Apples","version":1}');
  });

  it('as CSV is RFC 4180 with a header, and holds nothing that a spreadsheet would run', async () => {
    const person = await registerUser(app);
    const titles = ['=1+1', '+49 30', '-5', '@SUM(A1)', "'=kept", 'a "quote", and\r\na line', ' plain'];
    for (const title of titles) await createItem(person, { title, data: { formula: '=1' } });
    const { headers, text } = await person.http.get(
      '/v1/items/export?format=csv&sort=createdAt,id&fields=type,title,data',
    );
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
    expect(text.startsWith('type,title,data\r\n')).toBe(true);
    const records = parse<Record<string, string>>(text, { columns: true });
    expect(records.map(({ title }) => title)).toEqual([
      "'=1+1",
      "'+49 30",
      "'-5",
      "'@SUM(A1)",
      "''=kept",
      'a "quote", and\r\na line',
      ' plain',
    ]);
    expect(records.map(({ data }) => JSON.parse(data) as unknown)).toEqual(
      titles.map(() => ({ formula: '=1' })),
    );
  });

  it('is of one moment, however slowly it is read', async () => {
    const workspace = await createWorkspace(ada);
    await fill(workspace.id, 2_000, 4_000);
    const path = `/v1/items/export?workspaceId=${workspace.id}`;
    const whole = (await ada.http.get(path)).text.length;
    const reader = await slowReader(path);
    await app.sql(`DELETE FROM items WHERE workspace_id = $1`, [workspace.id]);
    expect(await reader.read()).toBe(whole);
    expect((await ada.http.get(path)).text).toBe('');
  });

  it('is made no faster than it is read, and in memory there is a piece of it at most', async () => {
    const workspace = await createWorkspace(ada);
    await fill(workspace.id, 10_000, 4_000);
    const before = process.memoryUsage();
    const reader = await slowReader(`/v1/items/export?workspaceId=${workspace.id}`);
    for (let i = 0; i < 200; i++) await nextTurn();
    const held = process.memoryUsage();
    const bytes = await reader.read();
    expect(bytes).toBeGreaterThan(40_000_000);
    const { heapUsed, external } = held;
    expect(heapUsed + external - before.heapUsed - before.external).toBeLessThan(20_000_000);
  });

  it('goes no further once its reader is no member any more, and does not look whole', async () => {
    const bob = await registerUser(app);
    await addMember(app, workspace.id, bob, 'viewer');
    const answer = await fetch(`${app.url}/v1/items/export?workspaceId=${workspace.id}`, {
      headers: { Authorization: `Bearer ${bob.token}` },
    });
    await ada.http.delete(`/v1/workspaces/${workspace.id}/members/${bob.user.id}`);
    await expect(answer.text()).rejects.toThrow();
  });

  it('is cut off as soon as session or membership end, at another instance, while its reader takes nothing', async () => {
    const path = `/v1/items/export?workspaceId=${workspace.id}`;
    const second = await app.startSecondInstance();
    const elsewhere = http(second, ada.token);
    const [bob, eve] = [await registerUser(app), await registerUser(app)];
    for (const member of [bob, eve]) await addMember(app, workspace.id, member, 'viewer');
    const running = await startAgent(app, ada, ['items:read'], { workspaceId: workspace.id });
    const ends: readonly [string, () => Promise<unknown>][] = [
      [bob.token, () => http(second, bob.token).post('/v1/auth/logout')],
      [eve.token, () => elsewhere.delete(`/v1/workspaces/${workspace.id}/members/${eve.user.id}`)],
      [running.token, () => elsewhere.post(`/v1/agents/${running.agent.id}/disable`)],
    ];
    const held = `SELECT FROM pg_stat_activity WHERE datname = current_database()
      AND application_name = 'atrium snapshots' AND xact_start IS NOT NULL`;
    const waits = async () =>
      (await app.sql(`${held} AND state_change < now() - interval '0.3 s'`)).length > 0;
    for (const [token, end] of ends) {
      const reader = await slowReader(path, token);
      await until('it waits for its reader', waits);
      await end();
      await until('nothing more is kept for it', async () => (await app.sql(held)).length === 0, 15_000);
      await expect(reader.read()).rejects.toThrow();
    }
  });

  it('that loses its way to the database does not look whole, and the log says why', async () => {
    const said: unknown[] = [];
    const nothing = () => undefined;
    app.nest.useLogger({ log: nothing, warn: nothing, error: (line: unknown) => void said.push(line) });
    const reader = await slowReader(`/v1/items/export?workspaceId=${workspace.id}`);
    await app.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'atrium snapshots'`,
    );
    await expect(reader.read()).rejects.toThrow();
    const left = await slowReader(`/v1/items/export?workspaceId=${workspace.id}`);
    left.close();
    expect(said).toEqual([expect.stringMatching(/^An answer was broken off: ./)]);
  });

  it('is for members alone', async () => {
    const workspace = await createWorkspace(ada);
    const eve = await registerUser(app);
    const path = `/v1/items/export?workspaceId=${workspace.id}`;
    expect((await eve.http.get(path)).status).toBe(404);
    expect((await http(app).get(path)).status).toBe(401);
    await addMember(app, workspace.id, eve, 'viewer');
    expect(await eve.http.get(path)).toMatchObject({ status: 200, text: '' });
  });

  it('runs twice per caller at once, not more, and a reader that goes away gives its place back', async () => {
    const path = `/v1/items/export?workspaceId=${workspace.id}`;
    const readers = [await slowReader(path), await slowReader(path)];
    const refused = await ada.http.get(path);
    expect(refused.status).toBe(429);
    expect(refused.body.code).toBe('too_many_exports');
    for (const reader of readers) reader.close();
    await until('a place is free', async () => (await ada.http.call('HEAD', path)).status === 200);
    await until('and again, since HEAD takes none', async () => (await ada.http.get(path)).status === 200);
  });

  it.each([
    ['format=xml', '/format'],
    ['limit=5', '/limit'],
    ['cursor=abc', '/cursor'],
    ['count=exact', '/count'],
    ['filter[nothing]=1', '/filter[nothing]'],
    ['sort=secret', '/sort'],
  ])('refuses ?%s', async (query, pointer) => {
    const { status, body } = await ada.http.get(`/v1/items/export?${query}`);
    expect(status).toBe(400);
    expect(body.errors?.map((error) => error.pointer)).toEqual([pointer]);
  });
});
