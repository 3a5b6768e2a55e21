import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { RoomDirectory } from '../../src/rooms/room-directory.js';
import type { Instance, TestApp } from '../support/app.js';
import { type Answer, http, type HttpClient } from '../support/http.js';
import { addMember, createItem, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, type CloudEvent, connectAndJoin, seqOf } from '../support/sockets.js';
import { createWorkspace } from '../support/workspaces.js';

interface Entry {
  readonly cursor: string;
  readonly event: CloudEvent;
}

let app: TestApp;
let elsewhere: Instance;
let [ada, bob]: Person[] = [];
let room: string;
beforeAll(async () => {
  app = await sharedAtrium();
  elsewhere = await sharedSecondInstance();
});
beforeEach(async () => {
  [ada, bob] = [await registerUser(app), await registerUser(app)];
  room = `workspaces/${ada.workspaceId}`;
});
afterEach(closeSockets);
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

const read = (
  client: HttpClient,
  name: string,
  more: { after?: string; limit?: number } = {},
): Promise<Answer<PageAnswer<Entry>>> => {
  const query = new URLSearchParams({ room: name, ...(more as Record<string, string>) });
  return client.get(`/v1/events?${query.toString()}`);
};
const seqs = ({ body }: Answer<PageAnswer<Entry>>) => body.data.map(({ cursor }) => seqOf(cursor));
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1);
/** All pages, one after the other. */
async function readAll(client: HttpClient, name: string, limit: number): Promise<Entry[]> {
  const all: Entry[] = [];
  for (let after: string | null | undefined; after !== null;) {
    const { body } = await read(client, name, { limit, ...(after === undefined ? {} : { after }) });
    expect(body.data.length).toBeLessThanOrEqual(limit);
    all.push(...body.data);
    after = body.nextCursor;
  }
  return all;
}

describe('The history of a room over HTTP', () => {
  it('comes page by page, oldest first, each event once, the same as sockets are sent', async () => {
    const socket = await connectAndJoin(app, ada.token, room);
    const { id } = await createItem(ada, { title: 'ü "x"\n', data: { nested: [1, { a: null }] } });
    for (const n of upTo(6)) await ada.http.patch(`/v1/items/${id}`, { data: { n } });
    const sent = await socket.received(room, 7);
    for (const [limit, client] of [
      [3, ada.http],
      [7, ada.http],
      [100, http(elsewhere, ada.token)],
    ] as const)
      expect(await readAll(client, room, limit)).toEqual(
        sent.map(({ cursor, event }) => ({ cursor, event })),
      );
  });

  it('of an item has what happened to it alone, and ends where it ends', async () => {
    const [one, other] = [await createItem(ada), await createItem(ada)];
    for (const n of upTo(3))
      for (const { id } of [one, other]) await ada.http.patch(`/v1/items/${id}`, { data: { n } });
    const all = await readAll(ada.http, `items/${one.id}`, 2);
    expect(all.map(({ cursor }) => seqOf(cursor))).toEqual([1, 3, 5, 7]);
    expect(new Set(all.map(({ event }) => event.subject))).toEqual(new Set([`items/${one.id}`]));
    const page = await read(ada.http, `items/${one.id}`, { limit: 4 });
    expect(page.body.nextCursor).toBeNull();
  });

  it('says where it ended, to join after it with nothing lost between', async () => {
    const { id } = await createItem(ada);
    await createItem(ada);
    const page = await read(ada.http, `items/${id}`);
    const cursor = page.headers.get('stream-cursor') ?? '';
    expect([seqs(page), seqOf(cursor)]).toEqual([[1], 2]);
    await ada.http.patch(`/v1/items/${id}`, { data: {} });
    const socket = await connectAndJoin(app, ada.token, `items/${id}`, cursor);
    await socket.received(`items/${id}`, 1);
    expect(seqs(await read(ada.http, `items/${id}`, { after: cursor }))).toEqual([3]);
    const half = await read(ada.http, room, { limit: 2 });
    expect(half.headers.get('stream-cursor')).toBe(half.body.nextCursor);
  });

  it('is there while nothing has happened, too', async () => {
    const page = await read(ada.http, room);
    expect(page).toMatchObject({ status: 200, body: { data: [], nextCursor: null } });
    expect(seqOf(page.headers.get('stream-cursor') ?? '')).toBe(0);
  });
});

describe('A cursor that leads nowhere is answered so, with the one to go on from', () => {
  it('of another history: 410 epoch_changed', async () => {
    await createItem(ada);
    const answer = await ada.http.get(`/v1/events?room=${room}&after=0123456789ab-1`);
    expect(answer).toMatchObject({ status: 410, body: { code: 'epoch_changed' } });
    expect(seqs(await read(ada.http, room, { after: answer.headers.get('stream-cursor') ?? '' }))).toEqual([
      1,
    ]);
  });

  it('from the future: 409 cursor_ahead', async () => {
    await createItem(ada);
    const { headers } = await read(ada.http, room);
    const ahead = (headers.get('stream-cursor') ?? '').replace(/\d+$/, '2');
    const answer = await ada.http.get(`/v1/events?room=${room}&after=${ahead}`);
    expect(answer).toMatchObject({ status: 409, body: { code: 'cursor_ahead' } });
    expect(seqOf(answer.headers.get('stream-cursor') ?? '')).toBe(1);
  });

  it('and what is no cursor, or no room: 400', async () => {
    for (const [query, code] of [
      [`room=${room}&after=x`, 'invalid_cursor'],
      [`room=${room}&after=${'x'.repeat(65)}`, 'validation_failed'],
      [`room=${room}&limit=101`, 'validation_failed'],
      ['room=nonsense', 'validation_failed'],
      ['', 'validation_failed'],
    ])
      expect(await ada.http.get(`/v1/events?${query}`)).toMatchObject({ status: 400, body: { code } });
  });
});

describe('Who may not join a room', () => {
  it('may not read its past either, and does not learn that it is there', async () => {
    const { id } = await createItem(ada);
    for (const name of [room, `items/${id}`, `items/${ada.workspaceId}`, `planets/${id}`])
      expect(await read(bob.http, name)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect((await read(http(app), room)).status).toBe(401);
  });

  it('any more reads nothing from after the loss, even when the loss comes between look and read', async () => {
    const workspace = await createWorkspace(ada);
    const name = `workspaces/${workspace.id}`;
    await addMember(app, workspace.id, bob, 'viewer');
    await createItem(ada, { workspaceId: workspace.id });
    const directory = app.nest.get(RoomDirectory);
    const authorise = directory.authorise.bind(directory);
    jest.spyOn(directory, 'authorise').mockImplementationOnce(async (principal, of) => {
      const grant = await authorise(principal, of);
      await ada.http.delete(`/v1/workspaces/${workspace.id}/members/${bob.user.id}`);
      await createItem(ada, { workspaceId: workspace.id });
      return grant;
    });
    const page = await read(bob.http, name);
    expect(page.body.data.map(({ event }) => event.type)).toEqual(['item.created']);
    expect(page.body.nextCursor).toBeNull();
    expect((await read(bob.http, name)).status).toBe(404);
    expect(seqs(await read(ada.http, name))).toEqual([1, 2, 3]);
  });
});
