import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createRequire } from 'node:module';
import type { Instance, TestApp } from '../support/app.js';
import { contentOf, historian, pathOf, replayed } from '../support/history.js';
import { http } from '../support/http.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';
import { createWorkspace } from '../support/workspaces.js';

const naughty = createRequire(import.meta.url)('big-list-of-naughty-strings') as string[];

let app: TestApp;
let other: Instance;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  other = await sharedSecondInstance();
  ada = await registerUser(app);
});
afterEach(closeSockets);
afterAll(() => app.stop());

const { patch, versionOf, restore, historyOf } = historian(() => ada);

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
