import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Instance, TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import {
  addMember,
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';
import { createWorkspace } from '../support/workspaces.js';

interface TrashedAnswer extends ItemAnswer {
  readonly deletedAt: string;
  readonly deletedBy: string;
  readonly keptUntil: string | null;
}

let app: TestApp;
let other: Instance;
let ada: Person;
let viewer: Person;
let eve: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  other = await sharedSecondInstance();
  [ada, viewer, eve] = await Promise.all([1, 2, 3].map(() => registerUser(app)));
  await addMember(app, ada.workspaceId, viewer, 'viewer');
});
afterEach(closeSockets);
afterAll(() => app.stop());

const DAY_MS = 86_400_000;
const pathOf = ({ id }: { id: string }) => `/v1/items/${id}`;
const remove = (item: { id: string }, person = ada) => person.http.delete(pathOf(item));
const restore = <Body = ItemAnswer>(item: { id: string }, person = ada, headers = {}) =>
  person.http.post<Body>(`${pathOf(item)}/restore`, undefined, { headers });
const trash = (query = '', person = ada) =>
  person.http.get<PageAnswer<TrashedAnswer>>(`/v1/items/trash${query}`);
const trashed = async (item: { id: string }) =>
  (await trash('?limit=100')).body.data.find(({ id }) => id === item.id);

describe('A deleted item', () => {
  it('is in no list, search or read, but in the trash: by whom and when, and until when it can come back', async () => {
    const word = `w${randomUUID().replaceAll('-', '')}`;
    const item = await createItem(ada, { title: word, type: word, data: { n: 1 } });
    const answer = await remove(item);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect((await ada.http.get(pathOf(item))).status).toBe(404);
    expect((await ada.http.patch(pathOf(item), { title: 'x' })).status).toBe(404);
    expect((await remove(item)).status).toBe(404);
    for (const query of ['', `?q=${word}`, `?filter[type]=${word}`, '?filter[data.n]=1'])
      expect((await ada.http.get(`/v1/items${query}`)).text).not.toContain(item.id);
    const found = await trashed(item);
    expect(found).toEqual({
      ...item,
      version: 2,
      updatedAt: found?.deletedAt,
      deletedAt: expect.any(String),
      deletedBy: ada.user.id,
      keptUntil: expect.any(String),
    });
    const { deletedAt = '', keptUntil } = found ?? {};
    expect(Date.parse(keptUntil ?? '') - Date.parse(deletedAt)).toBe(30 * DAY_MS);
    expect((await trash('', viewer)).body.data.map(({ id }) => id)).not.toContain(item.id);
    expect((await trash(`?workspaceId=${ada.workspaceId}`, viewer)).text).toContain(item.id);
  });

  it('comes back as it was, as a new version, and everybody is told', async () => {
    const socket = await connectAndJoin(other, ada.token, `workspaces/${ada.workspaceId}`);
    const item = await createItem(ada, { title: 'back', data: { deep: [{ x: null }] } });
    await remove(item);
    const answer = await restore(item);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('etag')).toBe('"3"');
    expect(answer.body).toEqual({ ...item, version: 3, updatedAt: expect.any(String) });
    expect((await ada.http.get(pathOf(item))).text).toBe(answer.text);
    expect(await trashed(item)).toBeUndefined();
    const events = await socket.received(`workspaces/${ada.workspaceId}`, 3);
    expect(events.map(({ event }) => [event.type, event.data['version']])).toEqual([
      ['item.created', 1],
      ['item.deleted', 2],
      ['item.restored', 3],
    ]);
    expect(events[2]?.event.data).toEqual(answer.body);
    expect(answer.headers.get('stream-cursor')).toBe(events[2]?.cursor);
    // It goes on from there.
    const changed = await ada.http.patch<ItemAnswer>(pathOf(item), { data: { more: 1 } });
    expect(changed.body).toMatchObject({ version: 4, data: { deep: [{ x: null }], more: 1 } });
    await remove(item);
    expect((await restore(item)).body.version).toBe(6);
    expect((await ada.http.get(`/v1/items?q=back`)).text).toContain(item.id);
  });

  it('goes there from a batch, too, as the batch has left it', async () => {
    const [one, two] = [await createItem(ada), await createItem(ada)];
    const operations = [
      { op: 'update', id: one.id, patch: { title: 'last words', data: { n: 1 } } },
      { op: 'delete', id: one.id },
      { op: 'delete', id: two.id },
    ];
    expect((await ada.http.post('/v1/items/batch', { operations })).status).toBe(200);
    expect(await trashed(one)).toMatchObject({ title: 'last words', data: { n: 1 }, version: 3 });
    expect(await trashed(two)).toMatchObject({ ...two, version: 2, updatedAt: expect.any(String) });
    expect((await restore(one)).body).toMatchObject({ title: 'last words', data: { n: 1 }, version: 4 });
  });
});

describe('The trash', () => {
  it('is leafed through, newest deletion first, while more comes and goes', async () => {
    const { id: workspaceId } = await createWorkspace(ada);
    const items = await Promise.all(Array.from({ length: 7 }, () => createItem(ada, { workspaceId })));
    // In one transaction, all of the same time.
    const operations = items.slice(0, 4).map(({ id }) => ({ op: 'delete', id }));
    await ada.http.post('/v1/items/batch', { operations });
    for (const item of items.slice(4)) await remove(item);
    const pages: string[][] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const { body } = await trash(`?workspaceId=${workspaceId}&limit=2${cursor && `&cursor=${cursor}`}`);
      pages.push(body.data.map(({ id }) => id));
      cursor = body.nextCursor;
      if (pages.length === 1) await restore(items[6]);
      if (pages.length === 2) await remove(await createItem(ada, { workspaceId }));
    }
    const last = items.slice(0, 4).map(({ id }) => id);
    expect(pages.flat()).toEqual([items[6].id, items[5].id, items[4].id, ...last.sort().reverse()]);
    expect(pages.map(({ length }) => length)).toEqual([2, 2, 2, 1]);
    const { nextCursor } = (await trash(`?workspaceId=${workspaceId}&limit=1`)).body;
    expect((await trash(`?cursor=${nextCursor}`)).status).toBe(400);
    expect((await trash('?cursor=x')).status).toBe(400);
    expect((await trash(`?workspaceId=${randomUUID()}`)).status).toBe(404);
  });

  it('goes with its workspace', async () => {
    const { id: workspaceId } = await createWorkspace(ada);
    const item = await createItem(ada, { workspaceId });
    await remove(item);
    expect((await ada.http.delete(`/v1/workspaces/${workspaceId}?confirm=Team`)).status).toBe(204);
    expect(await app.sql('SELECT FROM trashed_items WHERE id = $1', [item.id])).toEqual([]);
    expect((await restore(item)).status).toBe(404);
  });

  it('goes with the account, out of its personal workspace', async () => {
    const person = await registerUser(app);
    const item = await createItem(person);
    await remove(item, person);
    const left = await person.http.call('DELETE', '/v1/me', { json: { password: person.password } });
    expect(left.status).toBe(204);
    expect(await app.sql('SELECT FROM trashed_items WHERE id = $1', [item.id])).toEqual([]);
  });
});

describe('Bringing back', () => {
  it('is for who may write, and to a stranger as if nothing existed', async () => {
    const item = await createItem(ada);
    expect(await restore(item, viewer)).toMatchObject({ status: 403 });
    await remove(item);
    const refused = [
      await restore(item, viewer),
      await restore(item, eve),
      await restore({ id: randomUUID() }, eve),
    ];
    expect(refused.map(({ status }) => status)).toEqual([403, 404, 404]);
    expect((await trash(`?workspaceId=${ada.workspaceId}`, eve)).status).toBe(404);
    expect(await trashed(item)).toBeDefined();
  });

  it('honours If-Match against the version of the deletion, and wants it where the workspace does', async () => {
    const { id: workspaceId } = await createWorkspace(ada);
    const item = await createItem(ada, { workspaceId });
    await ada.http.patch(`/v1/workspaces/${workspaceId}`, { requireIfMatch: true });
    await ada.http.delete(pathOf(item), { headers: { 'If-Match': '"1"' } });
    expect(await restore<unknown>(item)).toMatchObject({
      status: 428,
      body: { code: 'precondition_required' },
    });
    const stale = await restore<unknown>(item, ada, { 'If-Match': '"1"' });
    expect(stale).toMatchObject({ status: 412, body: { code: 'version_mismatch' } });
    expect(stale.headers.get('etag')).toBe('"2"');
    expect(await restore(item, ada, { 'If-Match': '"2"' })).toMatchObject({
      status: 200,
      body: { version: 3 },
    });
  });

  it('what is not deleted is refused, and a repeat under its Idempotency-Key is answered again', async () => {
    const item = await createItem(ada);
    expect(await restore<unknown>(item)).toMatchObject({ status: 409, body: { code: 'not_in_trash' } });
    await remove(item);
    const key = { 'Idempotency-Key': randomUUID() };
    const first = await restore(item, ada, key);
    expect((await restore(item, ada, key)).text).toBe(first.text);
  });

  it('is done by one of many at two instances, and no version comes twice', async () => {
    const elsewhere = http(other, ada.token);
    const clients = [ada.http, elsewhere];
    const item = await createItem(ada);
    const codes = new Map<number, number>();
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, n) =>
          n < 4 ? clients[n % 2].delete(pathOf(item)) : clients[n % 2].post(`${pathOf(item)}/restore`),
        ),
      );
      for (const { status } of answers) codes.set(status, (codes.get(status) ?? 0) + 1);
    }
    expect([...codes.keys()].filter((status) => ![200, 204, 404, 409].includes(status))).toEqual([]);
    const done = (codes.get(200) ?? 0) + (codes.get(204) ?? 0);
    const events = await app.sql<{ version: number; type: string }>(
      `SELECT (data->>'version')::int AS version, type FROM events WHERE subject = $1 ORDER BY seq`,
      [`items/${item.id}`],
    );
    expect(events.map(({ version }) => version)).toEqual(Array.from({ length: done + 1 }, (_, n) => n + 1));
    expect(events.slice(1).map(({ type }) => type)).toEqual(
      Array.from({ length: done }, (_, n) => (n % 2 === 0 ? 'item.deleted' : 'item.restored')),
    );
    const places = await app.sql(
      'SELECT FROM items WHERE id = $1 UNION ALL SELECT FROM trashed_items WHERE id = $1',
      [item.id],
    );
    expect(places).toHaveLength(1);
  });
});
