import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { type JsonValue, parseJson } from '../../src/common/json.js';
import { applyJsonPatch, JsonPatchDocument } from '../../src/common/json-patch.js';
import { EventArchives } from '../../src/events/event-archives.js';
import { EventRetention } from '../../src/events/event-retention.js';
import { MAX_VERSION } from '../../src/items/item-history.dto.js';
import { READ_HISTORY } from '../../src/items/item-history.sql.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
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

const naughty = createRequire(import.meta.url)('big-list-of-naughty-strings') as string[];
const DAYS = 86_400_000;

interface VersionAnswer {
  readonly version: number;
  readonly type: string;
  readonly at: string;
  readonly by: string;
  readonly changes: JsonValue[] | null;
}

let app: TestApp;
let other: Instance;
let ada: Person;
let bob: Person;
let eve: Person;
beforeAll(async () => {
  app = await startAtrium({ EVENT_RETENTION_DAYS: '2' });
  other = await app.startSecondInstance();
  [ada, bob, eve] = await Promise.all([1, 2, 3].map(() => registerUser(app)));
  await addMember(app, ada.workspaceId, bob, 'viewer');
});
afterEach(closeSockets);
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

const pathOf = ({ id }: { id: string }) => `/v1/items/${id}`;
const historyPath = (item: { id: string }, query = '') => `${pathOf(item)}/history${query}`;
const patch = (item: { id: string }, change: unknown) => ada.http.patch<ItemAnswer>(pathOf(item), change);
const versionOf = <Body = ItemAnswer>(item: { id: string }, version: number | string, person = ada) =>
  person.http.get<Body>(`${historyPath(item)}/${version}`);
const restore = <Body = ItemAnswer>(item: { id: string }, body?: unknown, headers = {}) =>
  ada.http.post<Body>(`${pathOf(item)}/restore`, body, { headers });

/** All of it, the oldest first, page by page. */
async function historyOf(item: { id: string }, limit = 100): Promise<VersionAnswer[]> {
  const found: VersionAnswer[] = [];
  let cursor = '';
  for (;;) {
    const { status, body } = await ada.http.get<PageAnswer<VersionAnswer>>(
      historyPath(item, `?limit=${limit}${cursor}`),
    );
    expect([status, body.data.length <= limit]).toEqual([200, true]);
    found.push(...body.data);
    if (body.nextCursor === null) return found.reverse();
    cursor = `&cursor=${body.nextCursor}`;
  }
}

/** What the changes make, one after another, of nothing. */
function replayed(history: readonly VersionAnswer[]): JsonValue[] {
  let content: JsonValue = {};
  return history.map(({ changes }) => {
    // Parsed where it is applied: lists of another realm are none to the library.
    const document = JsonPatchDocument.read(parseJson(JSON.stringify(changes)));
    content = applyJsonPatch(JSON.stringify(content), document) ?? null;
    return content;
  });
}
const contentOf = ({ title, type, data }: ItemAnswer) => ({ title, type, data });

/** Drops what is older, as if so many days had passed. */
async function pass(days: number): Promise<void> {
  const retention = app.nest.get<EventRetention, { clock: unknown; run(): Promise<void> }>(EventRetention);
  const { clock } = retention;
  retention.clock = { now: () => Date.now() + days * DAYS };
  try {
    await retention.run();
  } finally {
    retention.clock = clock;
  }
}
const eventsOf = async (item: { id: string }) =>
  (await app.sql('SELECT FROM events WHERE subject = $1', [`items/${item.id}`])).length;

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

describe('An older version', () => {
  it('comes back as a new one, of a living and of a deleted item', async () => {
    const room = `workspaces/${ada.workspaceId}`;
    const socket = await connectAndJoin(other, ada.token, room);
    const item = await createItem(ada, { title: 'one', type: 'note', data: { n: 1 } });
    await patch(item, { title: 'two', type: 'other', data: { n: 2, m: 2 } });
    const back = await restore(item, { version: 1 });
    expect(back).toMatchObject({ status: 200, body: { ...contentOf(item), version: 3 } });
    expect(back.headers.get('etag')).toBe('"3"');
    await ada.http.delete(pathOf(item));
    const again = await restore(item, { version: 2 });
    expect(again.body).toMatchObject({ title: 'two', type: 'other', data: { n: 2, m: 2 }, version: 5 });
    expect((await ada.http.get(pathOf(item))).text).toBe(again.text);
    const events = await socket.received(room, 5);
    expect(events.map(({ event }) => [event.type, event.data['version']])).toEqual([
      ['item.created', 1],
      ['item.updated', 2],
      ['item.updated', 3],
      ['item.deleted', 4],
      ['item.restored', 5],
    ]);
    expect(replayed(await historyOf(item)).at(-1)).toEqual(contentOf(again.body));
  });

  it('is refused if there is none, under If-Match, and without it where the workspace wants it', async () => {
    const { id: workspaceId } = await createWorkspace(ada);
    const item = await createItem(ada, { workspaceId });
    expect((await restore(item, { version: 2 })).status).toBe(404);
    for (const version of [0, 1.5, '1', null, 2 ** 31])
      expect(await restore(item, { version })).toMatchObject({
        status: 400,
        body: { errors: [{ pointer: '/version' }] },
      });
    expect((await restore(item, { other: 1 })).status).toBe(400);
    const stale = await restore<unknown>(item, { version: 1 }, { 'If-Match': '"9"' });
    expect(stale).toMatchObject({ status: 412, body: { code: 'version_mismatch' } });
    await ada.http.patch(`/v1/workspaces/${workspaceId}`, { requireIfMatch: true });
    expect((await restore(item, { version: 1 })).status).toBe(428);
    expect((await restore(item, { version: 1 }, { 'If-Match': '"1"' })).status).toBe(200);
  });

  it('is written once and lost by nobody while others delete and bring back', async () => {
    const item = await createItem(ada, { title: 'first' });
    await patch(item, { title: 'second' });
    const clients = [ada.http, http(other, ada.token)];
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => {
        const client = clients[n % 2];
        if (n % 4 === 0) return client.delete(pathOf(item));
        return client.post(`${pathOf(item)}/restore`, n % 4 === 1 ? {} : { version: 1 });
      }),
    );
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => ![200, 204, 404, 409].includes(status))).toEqual([]);
    const done = statuses.filter((status) => status < 300).length;
    const history = await historyOf(item);
    expect(history.map(({ version }) => version)).toEqual(Array.from({ length: done + 2 }, (_, n) => n + 1));
  });
});

describe('Hostile texts', () => {
  it('survive deletion, return and history byte for byte', async () => {
    const texts = [
      ...naughty,
      '__proto_',
      '$1',
      "'; DROP TABLE items; --",
      '\u0001',
      '\uFEFFx',
      '😀'.repeat(50),
    ]
      .filter((text) => text !== '' && text.length <= 300 && !text.includes('\0') && text.isWellFormed())
      .filter((text) => text !== '__proto__');
    expect(texts.length).toBeGreaterThan(400);
    const chunks = Array.from({ length: Math.ceil(texts.length / 20) }, (_, n) =>
      texts.slice(n * 20, n * 20 + 20),
    );
    await Promise.all(
      chunks.map(async (chunk) => {
        const title = chunk[0]?.slice(0, 100).toWellFormed() ?? '';
        const data = {
          ...Object.fromEntries(chunk.map((text) => [text, [text, { [text]: 1 }]])),
          list: chunk,
        };
        const item = await createItem(ada, { title, data });
        const before = await ada.http.get(pathOf(item));
        await ada.http.delete(pathOf(item));
        await restore(item);
        expect((await versionOf(item, 1)).text).toBe(before.text);
        const after = await ada.http.get<ItemAnswer>(pathOf(item));
        expect((await versionOf(item, 3)).text).toBe(after.text);
        const dataOf = (text: string) => text.slice(text.indexOf('"data":'), text.indexOf(',"version":'));
        expect(dataOf(after.text)).toBe(dataOf(before.text));
        await patch(item, { data: Object.fromEntries(chunk.map((text) => [text, null])) });
        await restore(item, { version: 1 });
        expect(dataOf((await ada.http.get(pathOf(item))).text)).toBe(dataOf(before.text));
        const history = replayed(await historyOf(item));
        expect(history).toEqual([
          contentOf(item),
          contentOf(item),
          contentOf(item),
          { ...contentOf(item), data: { list: chunk } },
          contentOf(item),
        ]);
      }),
    );
  });
});

describe('What the stream does not keep any more', () => {
  it('is in the history as before, of living and of deleted items, and goes on from there', async () => {
    const [living, deleted] = [await createItem(ada), await createItem(ada)];
    for (const item of [living, deleted]) for (let n = 1; n <= 5; n++) await patch(item, { data: { n } });
    await ada.http.delete(pathOf(deleted));
    const before = [await historyOf(living), await historyOf(deleted)];
    const texts = await Promise.all(
      [1, 4, 6].map(async (version) => (await versionOf(living, version)).text),
    );
    await pass(4);
    expect([await eventsOf(living), await eventsOf(deleted)]).toEqual([0, 0]);
    expect([await historyOf(living, 2), await historyOf(deleted, 3)]).toEqual(before);
    expect(
      await Promise.all([1, 4, 6].map(async (version) => (await versionOf(living, version)).text)),
    ).toEqual(texts);
    // Now some of it is here and some there.
    await patch(living, { data: { n: 6 } });
    const both = await historyOf(living, 3);
    expect(both.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(both.slice(0, 6)).toEqual(before[0]);
    expect(both[6]?.changes).toEqual([{ op: 'replace', path: '/data/n', value: 6 }]);
    expect((await restore(living, { version: 2 })).body).toMatchObject({ data: { n: 1 }, version: 8 });
    expect((await restore(deleted, { version: 3 })).body).toMatchObject({ data: { n: 2 }, version: 8 });
    await pass(4); // from the default partition, since that of today is gone
    expect((await historyOf(living, 3)).slice(0, 7)).toEqual(both);
    expect(await historyOf(deleted)).toHaveLength(8);
    expect([await eventsOf(living), await eventsOf(deleted)]).toEqual([0, 0]);
  });

  it('misses no version when it is dropped while everybody writes', async () => {
    const items = await Promise.all(Array.from({ length: 5 }, () => createItem(ada)));
    await app.nest.get(EventRetention).run();
    const writes = Promise.all(
      items.map(async (item) => {
        for (let n = 1; n <= 20; n++) await patch(item, { data: { n } });
      }),
    );
    await pass(4);
    await writes;
    for (const item of items) {
      const history = await historyOf(item, 7);
      expect(history.map(({ version }) => version)).toEqual(Array.from({ length: 21 }, (_, n) => n + 1));
      expect(replayed(history).at(-1)).toMatchObject({ data: { n: 20 } });
    }
  });

  it('counts once while it is being copied, and what is written until the drop is kept, too', async () => {
    const item = await createItem(ada);
    await patch(item, { data: { n: 1 } });
    const before = await historyOf(item);
    const archives = app.nest.get(EventArchives);
    await archives.copy('events', new Date(Date.now() + DAYS).toISOString());
    expect(await historyOf(item, 1)).toEqual(before);
    expect((await versionOf(item, 2)).body.data).toEqual({ n: 1 });
    const copy = archives.copy.bind(archives);
    jest.spyOn(archives, 'copy').mockImplementation(async (...of) => {
      await copy(...of);
      await patch(item, { data: { n: 2 } });
    });
    await pass(4);
    expect(await eventsOf(item)).toBe(0);
    const history = await historyOf(item);
    expect(history.map(({ version }) => version)).toEqual(
      Array.from({ length: history.length }, (_, n) => n + 1),
    );
    expect(history.length).toBeGreaterThan(2);
  });

  it('is copied out of a partition that nobody writes to any more, before that is dropped', async () => {
    await pass(4); // the first partition, which reaches back to the beginning, is gone by now
    const item = await createItem(ada);
    await patch(item, { data: { n: 1 } });
    const before = await historyOf(item);
    await app.sql(
      `CREATE TABLE events_20200101 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')`,
    );
    const old = `UPDATE events SET "time" = '2020-01-01 12:00+00' WHERE subject = $1`;
    await app.sql(old, [`items/${item.id}`]);
    await app.nest.get(EventRetention).run();
    expect(await app.sql(`SELECT to_regclass('events_20200101') AS partition`)).toEqual([
      { partition: null },
    ]);
    expect(await eventsOf(item)).toBe(0);
    const after = await historyOf(item);
    expect(after.map(({ changes }) => changes)).toEqual(before.map(({ changes }) => changes));
  });

  it('goes with the workspace, also what is archived', async () => {
    const { id: workspaceId } = await createWorkspace(ada);
    const item = await createItem(ada, { workspaceId });
    await pass(4);
    const archived = () => app.sql('SELECT FROM item_versions WHERE item_id = $1', [item.id]);
    expect(await archived()).toHaveLength(1);
    await ada.http.delete(`/v1/workspaces/${workspaceId}?confirm=Team`);
    expect(await archived()).toEqual([]);
  });
});
