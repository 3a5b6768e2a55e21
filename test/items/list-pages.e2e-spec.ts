import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { TestApp } from '../support/app.js';
import {
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';

interface Page extends PageAnswer<ItemAnswer> {
  readonly prevCursor: string | null;
}

let app: TestApp;
beforeAll(async () => void (app = await sharedAtrium()));
afterAll(() => app.stop());

const address = (query: Record<string, string>) => `/v1/items?${new URLSearchParams(query).toString()}`;

async function page(person: Person, query: Record<string, string>): Promise<Page> {
  const { status, body, text } = await person.http.get<Page>(address(query));
  if (status !== 200) throw new Error(`list answered ${status}: ${text}`);
  return body;
}

/** Few different values of every type, so that many are equal. */
const value = fc.constantFrom<unknown>(1, 2, 2.5, 'a', 'b', 'Ä', true, false, null, [1], { x: 1 }, undefined);
const item = fc.record({
  type: fc.constantFrom('a', 'b'),
  title: fc.constantFrom('one', 'two', 'Zwei', 'naïve "quotes"'),
  data: fc.record({ p: value, q: value }),
});
const key = fc.constantFrom('type', 'title', 'version', 'updatedAt', 'createdAt', 'data.p', 'data.q', 'id');
const sort = fc
  .uniqueArray(fc.tuple(key, fc.boolean()), { minLength: 0, maxLength: 3, selector: ([name]) => name })
  .map((keys) => keys.map(([name, descending]) => `${descending ? '-' : ''}${name}`).join(','));
const filter = fc.constantFrom<Record<string, string>>(
  {},
  { 'filter[type]': 'a' },
  { 'filter[data.p][ne]': '1' },
  { 'filter[data.p][in]': '1,2,a,true' },
  { 'filter[or][0][type]': 'b', 'filter[or][1][title][startsWith]': 'Z' },
);
/** What happens between two pages: something comes, or one that no page may miss, because it is gone, goes. */
const change = fc.record({ insert: fc.option(item), remove: fc.option(fc.nat(30)) });

describe('Leafing through any list while records come and go', () => {
  it('never repeats a record and never loses one that stayed, forward and back again', async () => {
    const person = await registerUser(app);
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { minLength: 5, maxLength: 14 }),
        sort,
        filter,
        fc.integer({ min: 1, max: 4 }),
        fc.array(change, { minLength: 1, maxLength: 6 }),
        async (items, order, conditions, limit, changes) => {
          await app.sql('DELETE FROM items WHERE workspace_id = $1', [person.workspaceId]);
          // Those of one request were created at the same time.
          const half = Math.ceil(items.length / 2);
          for (const some of [items.slice(0, half), items.slice(half)]) {
            const operations = some.map((input) => ({ op: 'create', item: input }));
            expect((await person.http.post('/v1/items/batch', { operations })).status).toBe(200);
          }
          const query = { ...conditions, ...(order === '' ? {} : { sort: order }), limit: String(limit) };
          const before = (await page(person, { ...query, limit: '100' })).data.map(({ id }) => id);
          const gone = new Set<string>();
          const seen: string[] = [];
          let n = 0;
          const happen = async () => {
            const { insert, remove } = changes[n++ % changes.length];
            if (insert !== null) await createItem(person, insert);
            const victim = remove === null ? undefined : before[remove % before.length];
            if (victim !== undefined && !gone.has(victim)) {
              gone.add(victim);
              await person.http.delete(`/v1/items/${victim}`);
            }
          };
          let last = await page(person, query);
          expect(last.prevCursor).toBeNull();
          for (;;) {
            seen.push(...last.data.map(({ id }) => id));
            if (last.nextCursor === null) break;
            // Not for ever: who inserts ahead of the reader as fast as it reads, is never overtaken.
            if (n < 20) await happen();
            last = await page(person, { ...query, cursor: last.nextCursor });
          }
          expect(new Set(seen).size).toBe(seen.length);
          const stayed = before.filter((id) => !gone.has(id));
          const old = seen.filter((id) => before.includes(id));
          expect(old.filter((id) => !gone.has(id))).toEqual(stayed);
          // And back, with nothing happening: exactly what is before the last page now.
          const all = (await page(person, { ...query, limit: '100' })).data.map(({ id }) => id);
          const back: string[] = last.data.map(({ id }) => id);
          while (last.prevCursor !== null) {
            last = await page(person, { ...query, cursor: last.prevCursor });
            back.unshift(...last.data.map(({ id }) => id));
          }
          expect(back).toEqual(all.slice(0, back.length));
          expect(all.slice(back.length).filter((id) => seen.includes(id))).toEqual([]);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('The order', () => {
  it('on a place in data is: nothing, texts, numbers, booleans; each by its value', async () => {
    const person = await registerUser(app);
    const values = [true, 10, 'b', null, 2, undefined, 'a', false, -1.5, 'B', { x: 1 }];
    for (const n of values) await createItem(person, { data: { n } });
    const { data } = await page(person, { sort: 'data.n,id' });
    expect(data.map((entry) => entry.data['n'])).toEqual([
      null,
      undefined,
      { x: 1 },
      'B',
      'a',
      'b',
      -1.5,
      2,
      10,
      false,
      true,
    ]);
  });
});

describe('A cursor', () => {
  it('that was changed, or belongs to another list, is refused', async () => {
    const person = await registerUser(app);
    for (let n = 0; n < 4; n++) await createItem(person, { type: 'task', data: { n } });
    const lists: Record<string, string>[] = [
      {},
      { 'filter[type]': 'task' },
      { 'filter[type]': 'tas' },
      { 'filter[type][ne]': 'x' },
      { sort: 'title' },
      { sort: '-title' },
      { q: 'task' },
      { workspaceId: person.workspaceId },
    ];
    const refused = async (query: Record<string, string>) => {
      const answer = await person.http.get(address(query));
      expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, '/cursor']);
    };
    const { nextCursor } = await page(person, { sort: 'data.n', limit: '2' });
    for (const other of lists) await refused({ ...other, cursor: nextCursor! });
    const plain = (await page(person, { limit: '2' })).nextCursor!;
    for (const other of lists.slice(1)) await refused({ ...other, cursor: plain });
    for (const [cursor, query] of [
      [plain, {}],
      [nextCursor!, { sort: 'data.n' }],
    ] as const)
      for (let at = 0; at < cursor.length; at++) {
        const changed = cursor[at] === 'A' ? 'B' : 'A';
        await refused({ ...query, cursor: cursor.slice(0, at) + changed + cursor.slice(at + 1) });
      }
    // Another page size is the same list.
    expect((await page(person, { sort: 'data.n', limit: '1', cursor: nextCursor! })).data).toHaveLength(1);
  });

  it('leads back from an empty page to the record before it', async () => {
    const person = await registerUser(app);
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.unshift((await createItem(person)).id);
    const first = await page(person, { limit: '2' });
    await person.http.delete(`/v1/items/${ids[2]}`);
    const empty = await page(person, { limit: '2', cursor: first.nextCursor! });
    expect(empty.data).toEqual([]);
    const back = await page(person, { limit: '2', cursor: empty.prevCursor! });
    expect(back.data.map(({ id }) => id)).toEqual(ids.slice(0, 2));
  });

  it('carries the longest keys', async () => {
    const person = await registerUser(app);
    const long = '\u0001'.repeat(500);
    const data = { a: long, b: '😀'.repeat(300), c: Number.MAX_VALUE };
    for (let n = 0; n < 3; n++) await createItem(person, { title: long, data });
    const query = { sort: 'title,data.a,data.b,data.c', limit: '2' };
    const first = await page(person, query);
    expect((await page(person, { ...query, cursor: first.nextCursor! })).data).toHaveLength(1);
  });
});

describe('Link', () => {
  it('leads to the pages beside this one, with every other parameter as it was', async () => {
    const person = await registerUser(app);
    for (let n = 0; n < 5; n++) await createItem(person, { title: `<${n}>`, data: { n } });
    const query = { 'filter[data.n][gte]': '0', sort: 'data.n', limit: '2', 'filter[title][contains]': '<' };
    const linked = (headers: Headers, relation: string) =>
      new RegExp(`<([^>]+)>; rel="${relation}"`).exec(headers.get('link') ?? '')?.[1];
    const first = await person.http.get<Page>(address(query));
    expect(linked(first.headers, 'prev')).toBeUndefined();
    const second = await person.http.get<Page>(linked(first.headers, 'next')!);
    expect(second.body.data.map((entry) => entry.data['n'])).toEqual([2, 3]);
    const third = await person.http.get<Page>(linked(second.headers, 'next')!);
    expect(linked(third.headers, 'next')).toBeUndefined();
    const back = await person.http.get<Page>(linked(third.headers, 'prev')!);
    expect(back.body.data).toEqual(second.body.data);
    const start = await person.http.get<Page>(linked(second.headers, 'prev')!);
    expect(start.body.data).toEqual(first.body.data);
    expect(linked(start.headers, 'prev')).toBeUndefined();
    const all = await person.http.get<Page>(address({ ...query, limit: '100' }));
    expect(all.headers.get('link')).toBeNull();
  });
});
