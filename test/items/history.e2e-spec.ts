import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { JsonValue } from '../../src/common/json.js';
import { MAX_VERSION } from '../../src/items/item-history.dto.js';
import { READ_HISTORY } from '../../src/items/item-history.sql.js';
import { startAtrium, type TestApp } from '../support/app.js';
import {
  contentOf,
  historian,
  historyPath,
  pathOf,
  replayed,
  type VersionAnswer,
} from '../support/history.js';
import {
  addMember,
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let ada: Person;
let bob: Person;
let eve: Person;
beforeAll(async () => {
  app = await startAtrium();
  [ada, bob, eve] = await Promise.all([1, 2, 3].map(() => registerUser(app)));
  await addMember(app, ada.workspaceId, bob, 'viewer');
});
afterEach(closeSockets);
afterAll(() => app.stop());

const { patch, versionOf, restore, historyOf } = historian(() => ada);

describe('The history of an item', () => {
  it('tells of every version who, when and what, newest first, also of a deleted one', async () => {
    const { id: workspaceId } = await createWorkspace(ada);
    await addMember(app, workspaceId, bob, 'member');
    const item = await createItem(ada, {
      title: 'one',
      type: 'note',
      data: { n: 1, list: [1, 2] },
      workspaceId,
    });
    await bob.http.patch(pathOf(item), { title: 'two', data: { n: null, m: { x: true } } });
    const operations = [
      { op: 'update', id: item.id, patch: [{ op: 'add', path: '/data/list/1', value: 9 }] },
      { op: 'delete', id: item.id },
    ];
    await ada.http.post('/v1/items/batch', { operations });
    await restore(item);
    await ada.http.delete(pathOf(item));
    const { status, body, headers } = await ada.http.get<PageAnswer<VersionAnswer>>(historyPath(item));
    expect([status, body.nextCursor, headers.get('stream-cursor')]).toEqual([200, null, expect.any(String)]);
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown;
    const entry = (version: number, type: string, by: Person, changes: unknown) => ({
      version,
      type,
      at: time,
      by: by.user.id,
      changes,
    });
    expect(body.data).toEqual([
      entry(6, 'deleted', ada, []),
      entry(5, 'restored', ada, []),
      entry(4, 'deleted', ada, []),
      entry(3, 'updated', ada, [{ op: 'add', path: '/data/list/1', value: 9 }]),
      entry(2, 'updated', bob, [
        { op: 'replace', path: '/title', value: 'two' },
        { op: 'remove', path: '/data/n' },
        { op: 'add', path: '/data/m', value: { x: true } },
      ]),
      entry(1, 'created', ada, [
        { op: 'add', path: '/title', value: 'one' },
        { op: 'add', path: '/type', value: 'note' },
        { op: 'add', path: '/data', value: { n: 1, list: [1, 2] } },
      ]),
    ]);
    expect(body.data[5]?.at).toBe(item.createdAt);
  });

  it('gives each version whole, as it was answered when it was made', async () => {
    const created = await ada.http.post<ItemAnswer>('/v1/items', {
      title: 'ä"\\',
      type: 't',
      data: { 10: 1, 2: [1, { x: null }], a: 1e21 },
    });
    const item = created.body;
    const updated = await patch(item, { data: { more: true } });
    await ada.http.delete(pathOf(item));
    const restored = await restore(item);
    for (const [version, { text }] of [
      [1, created],
      [2, updated],
      [4, restored],
    ] as const) {
      const answer = await versionOf(item, version);
      expect([answer.status, answer.headers.get('etag'), answer.text]).toEqual([200, `"${version}"`, text]);
    }
    expect((await versionOf(item, 3)).body).toMatchObject({ ...contentOf(updated.body), version: 3 });
    for (const version of ['0', '-1', '1.5', 'x', '9999999999'])
      expect((await versionOf(item, version)).status).toBe(400);
    expect((await versionOf(item, 5)).status).toBe(404);
  });

  it('is leafed through while it grows, past what others say in the room of the item', async () => {
    const item = await createItem(ada, { data: { n: 0 } });
    const socket = await connectAndJoin(app, ada.token, `items/${item.id}`);
    for (let n = 1; n <= 12; n++) {
      await patch(item, { data: { n } });
      await socket.send('publish', { room: `items/${item.id}`, type: 'note', data: { version: 99 } });
    }
    const first = await ada.http.get<PageAnswer<VersionAnswer>>(historyPath(item, '?limit=5'));
    await patch(item, { title: 'meanwhile' });
    const second = await ada.http.get<PageAnswer<VersionAnswer>>(
      historyPath(item, `?limit=5&cursor=${first.body.nextCursor}`),
    );
    expect([...first.body.data, ...second.body.data].map(({ version }) => version)).toEqual([
      13, 12, 11, 10, 9, 8, 7, 6, 5, 4,
    ]);
    for (let version = 1; version <= 13; version++)
      expect((await versionOf(item, version)).body.data).toEqual({ n: version - 1 });
    for (const limit of [1, 2, 13, 14]) expect(await historyOf(item, limit)).toHaveLength(14);
    const foreign = await createItem(ada);
    const { nextCursor } = first.body;
    expect((await ada.http.get(historyPath(foreign, `?cursor=${nextCursor}`))).status).toBe(400);
    expect((await ada.http.get(historyPath(item, '?cursor=x'))).status).toBe(400);
  });

  it('of large versions comes in pages of bounded size', async () => {
    const text = (n: number) => `${n}`.repeat(300_000);
    const item = await createItem(ada, { data: { text: text(1) } });
    for (let n = 2; n <= 6; n++) await patch(item, { data: { text: text(n) } });
    const page = await ada.http.get<PageAnswer<VersionAnswer>>(historyPath(item));
    expect(page.body.data.length).toBeLessThan(6);
    expect(page.text.length).toBeLessThan(1_100_000);
    const history = await historyOf(item);
    expect(history.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(replayed(history).at(-1)).toMatchObject({ data: { text: text(6) } });
  });

  it('is for those who may read the item now, and for nobody else', async () => {
    const item = await createItem(ada);
    await ada.http.delete(pathOf(item));
    expect((await bob.http.get(historyPath(item))).status).toBe(200);
    expect((await versionOf(item, 1, bob)).status).toBe(200);
    await ada.http.delete(`/v1/workspaces/${ada.workspaceId}/members/${bob.user.id}`);
    for (const person of [bob, eve]) {
      expect((await person.http.get(historyPath(item))).status).toBe(404);
      expect((await versionOf(item, 1, person)).status).toBe(404);
    }
    expect((await ada.http.get(historyPath({ id: randomUUID() }))).status).toBe(404);
  });

  it('says the same as the versions: its changes, one after another, make each of them', async () => {
    const word = fc.constantFrom('', 'a', '/', '~', '~1', '0', '10', '2', 'ä', "'", '$1', 'constructor');
    const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom<JsonValue>(null, true, 0, 1.5, 1e21),
        word,
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(word, tie('value'), { maxKeys: 4, noNullPrototype: true }),
      ),
    }));
    const data = fc.dictionary(word, value, { maxKeys: 4, noNullPrototype: true });
    const content = fc.record({ title: fc.constantFrom('x', 'y"'), type: fc.constantFrom('s', 't'), data });
    await fc.assert(
      fc.asyncProperty(content, fc.array(fc.record({ data }), { maxLength: 6 }), async (first, changes) => {
        const item = await createItem(ada, first);
        const expected: unknown[] = [contentOf(item)];
        for (const [n, { data: next }] of changes.entries()) {
          // Half of them as a whole, half as a merge.
          const answer =
            n % 2 === 0
              ? await ada.http.call<ItemAnswer>('PATCH', pathOf(item), {
                  json: [{ op: 'replace', path: '/data', value: next }],
                  headers: { 'Content-Type': 'application/json-patch+json' },
                })
              : await patch(item, { data: next, title: `${n}` });
          expect(answer.status).toBe(200);
          expected.push(contentOf(answer.body));
        }
        expect(replayed(await historyOf(item))).toEqual(expected);
      }),
      { numRuns: 25 },
    );
  });
});

describe('A long history', () => {
  it('is read by indexes: a page costs as much at any depth, a version some looks into one of them', async () => {
    const item = await createItem(ada);
    const count = 20_000;
    await app.sql(
      `WITH stream AS (UPDATE streams SET head = head + $2 WHERE id = $1 RETURNING id, head - $2 AS base)
      INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
      SELECT id, base + n, gen_random_uuid(), CASE WHEN n % 3 = 1 THEN 'note' ELSE 'item.updated' END,
        CASE WHEN n % 3 = 2 THEN 'items/' || gen_random_uuid() ELSE $3 END, id,
        jsonb_build_object('version', n / 3 + 1)
      FROM stream, generate_series(1, $2) n`,
      [ada.workspaceId, count, `items/${item.id}`],
    );
    await app.sql('ANALYZE events');
    const room = `items/${item.id}`;
    for (const before of ['9223372036854775807', '5000']) {
      const plan = await app.sql<{ 'QUERY PLAN': string }>(`EXPLAIN (ANALYZE, TIMING OFF) ${READ_HISTORY}`, [
        item.id,
        ada.user.id,
        room,
        before,
        MAX_VERSION,
        101,
        1_048_576,
      ]);
      const text = plan.map((row) => row['QUERY PLAN']).join('\n');
      expect(text).toMatch(/Index Scan Backward using events_\w+_subject_seq_idx on \w+ e_\d+ .*rows=101/);
      expect(text).toContain('item_versions_pkey');
      expect(text).not.toMatch(/Seq Scan on events/);
    }
    // As often as it takes until PostgreSQL plans without the values.
    const reads: number[] = [];
    for (let n = 0; n < 8; n++) {
      const explain = 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT item_event_seq($1, $2, 30000)';
      const [row] = await app.sql<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(explain, [
        room,
        n + 500,
      ]);
      const [{ Plan: plan }] = row['QUERY PLAN'];
      reads.push((plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0));
    }
    expect(Math.max(...reads.slice(1))).toBeLessThan(1_000);
  });
});
