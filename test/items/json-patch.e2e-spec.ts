import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createPatch } from 'rfc6902';
import type { Instance, TestApp } from '../support/app.js';
import { http, type Answer, type ProblemAnswer } from '../support/http.js';
import { addMember, createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { moved, publicCases } from './public-patches.js';
import { REFUSED_PATCHES } from './refused-patches.js';

let app: TestApp;
let other: Instance;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  other = await sharedSecondInstance();
  ada = await registerUser(app);
});
afterAll(() => app.stop());

const JSON_PATCH = { 'Content-Type': 'application/json-patch+json' };
const patchItem = (id: string, patch: unknown, headers: Record<string, string> = {}, client = ada.http) =>
  client.patch<ItemAnswer & ProblemAnswer>(`/v1/items/${id}`, patch, {
    headers: { ...JSON_PATCH, ...headers },
  });
const read = async (id: string) => (await ada.http.get<ItemAnswer>(`/v1/items/${id}`)).body;
const eventsOf = (id: string) => app.sql('SELECT 1 FROM events WHERE subject = $1', [`items/${id}`]);

/** A patch of an item that must not be done: the item is as it was, and no event tells of it. */
async function refused(data: unknown, patch: unknown): Promise<Answer<ProblemAnswer>> {
  const item = await createItem(ada, { data });
  const answer = await patchItem(item.id, patch);
  expect(await read(item.id)).toEqual(item);
  expect(await eventsOf(item.id)).toHaveLength(1);
  return answer;
}

describe('The public cases of json-patch-tests', () => {
  it('are there', () => expect(publicCases.length).toBeGreaterThan(80));

  it.each(publicCases)('%s', async (_, { doc, patch, expected, error }) => {
    const before = await createItem(ada, { data: { doc } });
    const answer = await patchItem(before.id, moved(patch));
    const after = await read(before.id);
    if (error !== undefined) {
      expect([400, 409, 422]).toContain(answer.status);
      expect(answer.body.errors?.length).toBeGreaterThan(0);
      expect(after).toEqual(before);
    } else {
      expect([answer.status, answer.text]).toEqual([200, answer.text]);
      expect(after).toEqual(answer.body);
      if (expected !== undefined) expect(after.data['doc']).toEqual(expected);
      expect(after.version).toBe(2);
    }
  });
});

describe('A JSON Patch of an item', () => {
  it('changes title, type and data at once, in one version and one event, or its whole', async () => {
    const { id } = await createItem(ada, { title: 'old', type: 'task', data: { tags: ['a'], n: 1 } });
    const answer = await patchItem(id, [
      { op: 'test', path: '/title', value: 'old' },
      { op: 'replace', path: '/title', value: 'new' },
      { op: 'copy', from: '/title', path: '/type' },
      { op: 'add', path: '/data/tags/-', value: 'b' },
      { op: 'move', from: '/data/n', path: '/data/count' },
    ]);
    expect(answer.body).toMatchObject({
      title: 'new',
      type: 'new',
      data: { tags: ['a', 'b'], count: 1 },
      version: 2,
    });
    expect(answer.headers.get('etag')).toBe('"2"');
    expect(answer.headers.get('stream-cursor')).toMatch(/-\d+$/);
    expect(await eventsOf(id)).toHaveLength(2);
    const whole = await patchItem(id, [
      { op: 'replace', path: '', value: { title: 't', type: 'x', data: { only: true } } },
    ]);
    expect(whole.body).toMatchObject({ title: 't', type: 'x', data: { only: true }, version: 3 });
  });

  it('does to any document what another implementation worked out', async () => {
    const key = fc.constantFrom('a', 'b', '', 'a/b', '~1', '0', '-', 'constructor', 'toString', 'prototype');
    const value = fc.letrec<{ json: unknown }>((tie) => ({
      json: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.constantFrom(null, true, 0, -1.5, '', 'x', '__proto__'),
        fc.array(tie('json'), { maxLength: 4 }),
        fc.dictionary(key, tie('json'), { noNullPrototype: true }),
      ),
    })).json;
    const document = fc.array(value, { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(document, document, async (before, after) => {
        const { id } = await createItem(ada, { data: { before } });
        const patch = createPatch({ data: { before } }, { data: { before: after } });
        const answer = await patchItem(id, [
          ...patch,
          { op: 'test', path: '/data', value: { before: after } },
        ]);
        expect([answer.status, answer.body.data]).toEqual([200, { before: after }]);
      }),
      { numRuns: 100 },
    );
  });

  it.each(REFUSED_PATCHES)(
    'with %s is refused, says where, and writes nothing',
    async (_, data, patch, status, code, pointer) => {
      const { body } = await refused(data, patch);
      expect(body).toMatchObject({ status, code });
      expect(body.errors?.map((error) => error.pointer)).toEqual([pointer]);
    },
  );

  it('cannot fill the memory with copies of copies, nest without end or grow past the limit', async () => {
    const doubling = Array.from({ length: 60 }, () => ({ op: 'copy', from: '/data/l', path: '/data/l/-' }));
    expect((await refused({ l: ['x'] }, doubling)).body.code).toBe('patch_not_applicable');
    const deeper = Array.from({ length: 120 }, () => ({ op: 'copy', from: '/data', path: '/data/x' }));
    expect((await refused({ x: 1 }, deeper)).body.code).toBe('patch_not_applicable');
    const copies = Array.from({ length: 60 }, (_, n) => ({
      op: 'copy',
      from: '/data/x',
      path: `/data/y${n}`,
    }));
    const grown = await refused({ x: 'x'.repeat(500_000) }, copies);
    expect(grown.body.code).toBe('patch_not_applicable');
    const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`k${n}`, n]));
    const anew = Array.from({ length: 30 }, () => ({ op: 'copy', from: '/data/x', path: '/data/y' }));
    expect((await refused({ x: wide }, anew)).body.code).toBe('patch_not_applicable');
    const large = await refused({ x: 'x'.repeat(600_000) }, copies.slice(0, 2));
    expect(large.body).toMatchObject({ status: 422, code: 'patch_result_refused' });
    const many = Array.from({ length: 1_001 }, () => ({ op: 'add', path: '/data/x', value: 1 }));
    expect((await refused({}, many)).body.code).toBe('validation_failed');
  });

  it('keeps the rules of JSON in its values', async () => {
    const item = await createItem(ada);
    for (const value of ['12345678901234567890', '1e400', '"\\u0000"', '"\\ud800"', '{"__proto__":1}']) {
      const raw = `[{"op":"add","path":"/data/x","value":${value}}]`;
      const answer = await ada.http.call('PATCH', `/v1/items/${item.id}`, { raw, headers: JSON_PATCH });
      expect([value, answer.status]).toEqual([value, 400]);
    }
    expect(await read(item.id)).toEqual(item);
  });

  it('honours If-Match, and is not for viewers and strangers', async () => {
    const item = await createItem(ada);
    const patch = [{ op: 'add', path: '/data/x', value: 1 }];
    const stale = await patchItem(item.id, patch, { 'If-Match': '"2"' });
    expect([stale.status, stale.headers.get('etag')]).toEqual([412, '"1"']);
    const viewer = await registerUser(app);
    expect((await patchItem(item.id, patch, {}, viewer.http)).status).toBe(404);
    await addMember(app, ada.workspaceId, viewer, 'viewer');
    expect((await patchItem(item.id, patch, {}, viewer.http)).status).toBe(403);
    expect(await read(item.id)).toEqual(item);
    expect((await patchItem(item.id, patch, { 'If-Match': '"1"' })).body.version).toBe(2);
    expect((await patchItem(item.id, patch, { 'If-Match': '*' })).body.version).toBe(3);
  });

  it('is taken by items alone: elsewhere the answer is 415 with what is taken there', async () => {
    const answer = await ada.http.patch('/v1/me', [], { headers: JSON_PATCH });
    expect(answer.status).toBe(415);
    expect(answer.headers.get('accept-patch')).toBe('application/merge-patch+json, application/json');
  });
});

describe('JSON Patches of one item at once', () => {
  it('all survive, at two instances and among merge patches', async () => {
    const { id } = await createItem(ada, { data: { list: [] } });
    const elsewhere = http(other, ada.token);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) => {
        const client = n % 2 ? ada.http : elsewhere;
        return n % 3 === 0
          ? client.patch(`/v1/items/${id}`, { data: { [`key${n}`]: n } })
          : patchItem(id, [{ op: 'add', path: '/data/list/-', value: n }], {}, client);
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(60).fill(200));
    const { data, version } = await read(id);
    const numbers = Array.from({ length: 60 }, (_, n) => n);
    expect([...(data['list'] as number[])].sort((a, b) => a - b)).toEqual(numbers.filter((n) => n % 3));
    expect(Object.keys(data).filter((key) => key.startsWith('key'))).toHaveLength(20);
    expect(version).toBe(61);
    expect(await eventsOf(id)).toHaveLength(61);
  });

  it('that test for the same state have one winner', async () => {
    const { id } = await createItem(ada, { data: { owner: null } });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        patchItem(
          id,
          [
            { op: 'test', path: '/data/owner', value: null },
            { op: 'replace', path: '/data/owner', value: n },
          ],
          {},
          n % 2 ? ada.http : http(other, ada.token),
        ),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(19).fill(409)]);
    expect((await read(id)).version).toBe(2);
  });
});
