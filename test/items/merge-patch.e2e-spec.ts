import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { TestApp } from '../support/app.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
});
afterAll(() => app.stop());

const MERGE_PATCH = { headers: { 'Content-Type': 'application/merge-patch+json' } };

/** What `data` becomes when an item that has it is patched. */
async function patched(data: unknown, patch: unknown): Promise<unknown> {
  const { id } = await createItem(ada, { data });
  const answer = await ada.http.patch<ItemAnswer>(`/v1/items/${id}`, { data: patch }, MERGE_PATCH);
  expect(answer.status).toBe(200);
  const read = await ada.http.get<ItemAnswer>(`/v1/items/${id}`);
  expect(read.body).toEqual(answer.body);
  return answer.body.data;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
const isObject = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The algorithm of RFC 7396, section 2, as it stands there. */
function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch))
    if (value === null) result.delete(name);
    else result.set(name, mergePatch(result.get(name), value));
  return Object.fromEntries(result);
}

describe('A merge patch of data', () => {
  // RFC 7396, appendix A. Those whose target or patch is no object stand one member deeper: data is an object.
  it.each<[target: object, patch: object, result: object]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ x: ['a', 'b'] }, { x: ['c', 'd'] }, { x: ['c', 'd'] }],
    [{ x: { a: 'b' } }, { x: ['c'] }, { x: ['c'] }],
    [{ x: { a: 'foo' } }, { x: 'bar' }, { x: 'bar' }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{ x: [1, 2] }, { x: { a: 'b', c: null } }, { x: { a: 'b' } }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    // And what else is easily got wrong.
    [{ a: 1 }, {}, { a: 1 }],
    [{ a: { b: 1 } }, { a: {} }, { a: { b: 1 } }],
    [{ a: 1 }, { a: {} }, { a: {} }],
    [{ a: 1 }, { b: [null, { c: null }] }, { a: 1, b: [null, { c: null }] }],
    [{}, { gone: null }, {}],
    [
      { '': 1, constructor: 2 },
      { '': null, toString: 3 },
      { constructor: 2, toString: 3 },
    ],
  ])('%j patched with %j becomes %j', async (target, patch, result) => {
    expect(Object.entries((await patched(target, patch)) as object).sort()).toEqual(
      Object.entries(result).sort(),
    );
  });

  it('does to any document what the algorithm of RFC 7396 does', async () => {
    const value = fc.letrec<{ json: Json }>((tie) => ({
      json: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.constantFrom<Json>(null, true, 0, 1, -1.5, '', 'x'),
        fc.array(tie('json'), { maxLength: 2 }),
        fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('json'), { noNullPrototype: true }),
      ),
    })).json;
    const document = fc.dictionary(fc.constantFrom('a', 'b', 'c'), value, { noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(document, document, async (target, patch) => {
        expect(await patched(target, patch)).toEqual(mergePatch(target, patch));
      }),
      { numRuns: 60 },
    );
  });

  it('is also taken as application/json', async () => {
    const { id } = await createItem(ada, { data: { a: 1, b: 2 } });
    const answer = await ada.http.patch<ItemAnswer>(`/v1/items/${id}`, { data: { a: null } });
    expect(answer.body.data).toEqual({ b: 2 });
  });

  it('may be nested to the limit and merges to the depth', async () => {
    const deep = (leaf: unknown, levels: number): unknown =>
      levels === 0 ? leaf : { a: deep(leaf, levels - 1) };
    expect(await patched(deep({ b: 1 }, 97), deep({ c: 2 }, 97))).toEqual(deep({ b: 1, c: 2 }, 97));
  });
});

describe('A merge patch of an item', () => {
  it('changes title and type where it names them, and nothing else', async () => {
    const item = await createItem(ada, { title: 'old', type: 'task', data: { a: 1 } });
    const path = `/v1/items/${item.id}`;
    const title = await ada.http.patch<ItemAnswer>(path, { title: 'new' });
    expect(title.body).toMatchObject({ title: 'new', type: 'task', data: { a: 1 }, version: 2 });
    expect(title.headers.get('etag')).toBe('"2"');
    const type = await ada.http.patch<ItemAnswer>(path, { type: 'note', data: { b: 2 } });
    expect(type.body).toMatchObject({ title: 'new', type: 'note', data: { a: 1, b: 2 }, version: 3 });
    expect(type.body).toMatchObject({ id: item.id, createdAt: item.createdAt, createdBy: item.createdBy });
    expect(type.body.updatedAt >= item.updatedAt).toBe(true);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ['title null, since a title cannot be removed', { title: null }, ['/title']],
    ['type null', { type: null }, ['/type']],
    ['data null', { data: null }, ['/data']],
    ['data that is a list', { data: [1] }, ['/data']],
    ['an empty title', { title: '' }, ['/title']],
    [
      'what only Atrium sets',
      { version: 9, id: 'x', workspaceId: 'y', createdBy: null },
      ['/createdBy', '/id', '/version', '/workspaceId'],
    ],
    ['a constructor that is null', { constructor: null }, ['/constructor']],
    ['a good member beside a bad one', { title: 'fine', status: 1 }, ['/status']],
  ])('refuses %s and writes nothing', async (_, patch, pointers) => {
    const item = await createItem(ada);
    const answer = await ada.http.patch(`/v1/items/${item.id}`, patch, MERGE_PATCH);
    expect(answer.status).toBe(400);
    expect(answer.body.errors?.map(({ pointer }) => pointer).sort()).toEqual(pointers);
    expect((await ada.http.get(`/v1/items/${item.id}`)).body).toEqual(item);
  });

  it('in a language that is not spoken here is answered 415 with those that are', async () => {
    const { id } = await createItem(ada);
    for (const type of ['text/plain', 'application/xml', 'application/json-patch']) {
      const answer = await ada.http.patch(`/v1/items/${id}`, [], { headers: { 'Content-Type': type } });
      expect(answer.status).toBe(415);
      expect(answer.headers.get('accept-patch')).toBe(
        'application/merge-patch+json, application/json, application/json-patch+json',
      );
    }
  });
});

describe('An item that grows by patches', () => {
  it('is bounded: what would be over 16 MiB is refused, alone and in a batch, and it may shrink again', async () => {
    const { id } = await createItem(ada);
    const fill = `UPDATE items SET data = jsonb_build_object('old', repeat('x', 16 * 1024 * 1024 - 2000)) WHERE id = $1`;
    await app.sql(fill, [id]);
    const url = `/v1/items/${id}`;
    const patch = { data: { more: 'y'.repeat(4_000) } };
    const alone = await ada.http.patch<{ code?: string }>(url, patch);
    expect([alone.status, alone.body.code]).toEqual([422, 'item_too_large']);
    const batch = await ada.http.post<{ code?: string }>('/v1/items/batch', {
      operations: [{ op: 'update', id, patch }],
    });
    expect([batch.status, batch.body.code]).toEqual([422, 'item_too_large']);
    expect((await ada.http.patch<ItemAnswer>(url, { data: { old: null } })).body.data).toEqual({});
  });
});
