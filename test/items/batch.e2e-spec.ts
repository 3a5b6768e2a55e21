import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Instance, TestApp } from '../support/app.js';
import { http, type HttpClient } from '../support/http.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connect } from '../support/sockets.js';
import { createWorkspace, type WorkspaceAnswer } from '../support/workspaces.js';

let app: TestApp;
let other: Instance;
let ada: Person;
let workspace: WorkspaceAnswer;
beforeAll(async () => {
  app = await sharedAtrium();
  other = await sharedSecondInstance();
  ada = await registerUser(app);
  workspace = await createWorkspace(ada);
});
afterEach(closeSockets);
afterAll(() => app.stop());

interface BatchAnswer {
  readonly results: readonly { op: string; id: string; version: number; item?: ItemAnswer }[];
}
const batch = <Body = BatchAnswer>(operations: unknown, client: HttpClient = ada.http, headers = {}) =>
  client.post<Body>('/v1/items/batch', { operations }, { headers });
const refused = async (operations: unknown, client?: HttpClient) => {
  const { status, body } = await batch<{ code: string; errors: { pointer: string }[] }>(operations, client);
  return [status, body.code, body.errors.map(({ pointer }) => pointer)];
};
const read = async (id: string) => (await ada.http.get<ItemAnswer>(`/v1/items/${id}`)).body;
const newItem = (title = 'new') => ({ title, type: 'task', data: { n: 1 }, workspaceId: workspace.id });
const head = async () =>
  (await app.sql<{ head: string }>('SELECT head FROM streams WHERE id = $1', [workspace.id]))[0].head;

describe('A batch', () => {
  it('creates, changes by either kind of patch and deletes; one event for each, in order', async () => {
    const [one, two, three] = await Promise.all([1, 2, 3].map(() => createItem(ada, newItem())));
    const socket = await connect(app, { token: ada.token });
    const room = `workspaces/${workspace.id}`;
    await socket.join(room);
    const answer = await batch([
      { op: 'create', item: newItem('created') },
      {
        op: 'update',
        id: one.id,
        patch: { title: 'merged', data: { n: null, m: { x: 1 } } },
        ifMatch: '"1"',
      },
      { op: 'update', id: two.id, patch: [{ op: 'replace', path: '/data/n', value: 2 }], ifMatch: '*' },
      { op: 'update', id: two.id, patch: { data: { again: true } }, ifMatch: '"2"' },
      { op: 'update', id: three.id, patch: { title: 'soon gone' } },
      { op: 'delete', id: three.id, ifMatch: '"2"' },
    ]);
    expect(answer.status).toBe(200);
    const { results } = answer.body;
    expect(results.map(({ op, version }) => [op, version])).toEqual([
      ['create', 1],
      ['update', 2],
      ['update', 2],
      ['update', 3],
      ['update', 2],
      ['delete', 3],
    ]);
    expect(results[1].item).toMatchObject({ title: 'merged', data: { m: { x: 1 } } });
    for (const n of [0, 1, 3]) expect(await read(results[n].id)).toEqual(results[n].item);
    expect(await read(two.id)).toMatchObject({ data: { n: 2, again: true }, version: 3 });
    expect((await ada.http.get(`/v1/items/${three.id}`)).status).toBe(404);
    const events = await socket.received(room, 6);
    expect(events.map(({ event }) => [event.type, event.subject, event.data['version']])).toEqual(
      results.map(({ op, id, version }) => [`item.${op}d`, `items/${id}`, version]),
    );
    expect(events[3].event.data).toEqual(results[3].item);
    expect(answer.headers.get('stream-cursor')).toBe(events[5].cursor);
  });

  it('that fails in one operation does nothing of it, and says which and where', async () => {
    const item = await createItem(ada, newItem());
    const before = await head();
    const first = { op: 'create', item: newItem('never') };
    const gone = randomUUID();
    const cases: [unknown, number, string, string][] = [
      [{ op: 'update', id: gone, patch: { title: 'x' } }, 404, 'not_found', ''],
      [{ op: 'delete', id: item.id, ifMatch: '"7"' }, 412, 'version_mismatch', ''],
      [{ op: 'update', id: item.id, patch: { title: '' } }, 400, 'validation_failed', '/patch/title'],
      [{ op: 'update', id: item.id, patch: [{ op: 'remove' }] }, 400, 'validation_failed', '/patch/0/path'],
      [
        { op: 'update', id: item.id, patch: [{ op: 'test', path: '/title', value: 'x' }] },
        409,
        'patch_test_failed',
        '/patch/0',
      ],
      [{ op: 'create', item: { ...newItem(), data: [] } }, 400, 'validation_failed', '/item/data'],
      [{ op: 'create', item: { ...newItem(), workspaceId: gone } }, 404, 'not_found', ''],
      [{ op: 'delete', id: 'x' }, 400, 'validation_failed', '/id'],
      [{ op: 'delete', id: item.id, ifMatch: '1' }, 400, 'validation_failed', '/ifMatch'],
      [{ op: 'delete', id: item.id, patch: {} }, 400, 'validation_failed', '/patch'],
      [{ op: 'constructor' }, 400, 'validation_failed', '/op'],
      [null, 400, 'validation_failed', ''],
    ];
    for (const [operation, status, code, pointer] of cases)
      expect(await refused([first, operation, first])).toEqual([status, code, [`/operations/1${pointer}`]]);
    expect(await refused([])).toEqual([400, 'validation_failed', ['/operations']]);
    expect(await refused(Array(1_001).fill(first))).toEqual([400, 'validation_failed', ['/operations']]);
    expect(await head()).toBe(before);
    expect(await read(item.id)).toEqual(item);
  });

  it('takes a thousand operations', async () => {
    const created = await batch(
      Array.from({ length: 1_000 }, (_, n) => ({ op: 'create', item: newItem(`${n}`) })),
    );
    expect(created.body.results.map(({ item }) => item?.title)).toEqual(
      Array.from({ length: 1_000 }, (_, n) => `${n}`),
    );
    const deleted = await batch(created.body.results.map(({ id }) => ({ op: 'delete', id })));
    expect(deleted.body.results).toHaveLength(1_000);
  });

  it('that would write much more than it is long is refused: by many operations on one large item, or by large ones', async () => {
    const large = { n: 'x'.repeat(900_000) };
    const items = await Promise.all(
      Array.from({ length: 11 }, () => createItem(ada, { ...newItem(), data: large })),
    );
    const [{ id }] = items;
    const before = await head();
    const steps = (count: number, patch: unknown) =>
      Array.from({ length: count }, () => ({ op: 'update', id, patch }));
    const merges = steps(1_000, { title: 'x' });
    const patches = steps(1_000, [{ op: 'replace', path: '/title', value: 'x' }]);
    for (const operations of [merges, patches])
      expect(await refused(operations)).toEqual([422, 'batch_too_large', ['/operations/10']]);
    const deletions = items.map((item) => ({ op: 'delete', id: item.id }));
    const all = await batch<{ code: string }>(deletions);
    expect([all.status, all.body.code]).toEqual([422, 'batch_too_large']);
    expect(await head()).toBe(before);
    expect((await batch(steps(10, { title: 'x' }))).body.results).toHaveLength(10);
    expect((await batch(deletions.slice(0, 9))).status).toBe(200);
  });

  it('copies in all its JSON Patches together no more than one of them may', async () => {
    const item = await createItem(ada, { ...newItem(), data: { x: 'x'.repeat(100_000) } });
    const copies = Array.from({ length: 10 }, () => ({ op: 'copy', from: '/data/x', path: '/data/y' }));
    const patch = [...copies, { op: 'remove', path: '/data/y' }];
    const one = { op: 'update', id: item.id, patch };
    expect((await batch(Array.from({ length: 8 }, () => one))).status).toBe(200);
    const [status, code] = await refused(Array.from({ length: 9 }, () => one));
    expect([status, code]).toEqual([422, 'patch_not_applicable']);
  });

  it('loses no other write: batches in opposite orders and patches at two instances all survive', async () => {
    const items = await Promise.all([1, 2, 3].map(() => createItem(ada, newItem())));
    const ids = items.map(({ id }) => id);
    const elsewhere = http(other, ada.token);
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, n) => {
        const client = n % 2 ? ada.http : elsewhere;
        const patch = { data: { [`key${n}`]: n } };
        if (n % 3 === 0) return client.patch(`/v1/items/${ids[0]}`, patch);
        const order = n % 3 === 1 ? ids : [...ids].reverse();
        return batch(
          order.map((id) => ({ op: 'update', id, patch })),
          client,
        );
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(30).fill(200));
    const [first, second] = [await read(ids[0]), await read(ids[1])];
    expect([first.version, second.version]).toEqual([31, 21]);
    expect(Object.keys(first.data)).toHaveLength(31);
  });

  it('is done once under an Idempotency-Key, and wants If-Match where the workspace does', async () => {
    const strict = await createWorkspace(ada);
    const item = { ...newItem(), workspaceId: strict.id };
    const headers = { 'Idempotency-Key': randomUUID() };
    const first = await batch([{ op: 'create', item }], ada.http, headers);
    expect((await batch([{ op: 'create', item }], ada.http, headers)).text).toBe(first.text);
    await ada.http.patch(`/v1/workspaces/${strict.id}`, { requireIfMatch: true });
    const [{ id }] = first.body.results;
    expect(await refused([{ op: 'delete', id }])).toEqual([428, 'precondition_required', ['/operations/0']]);
    expect((await batch([{ op: 'delete', id, ifMatch: '"1"' }])).status).toBe(200);
  });

  it('creates in the personal workspace unless another is named', async () => {
    const { body } = await batch([{ op: 'create', item: { title: 't', type: 't', data: {} } }]);
    expect(body.results[0].item?.workspaceId).toBe(ada.workspaceId);
  });
});
