import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Instance, TestApp } from '../support/app.js';
import { addToRoom, createRoom, type RoomAnswer } from '../support/custom-rooms.js';
import type { Answer } from '../support/http.js';
import { addMember, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, type CloudEvent, connect, connectAndJoin, seqOf } from '../support/sockets.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let second: Instance;
let [owner, ada, bob, eve, viewer]: Person[] = [];
let workspaceId: string;
beforeAll(async () => {
  app = await sharedAtrium();
  second = await sharedSecondInstance();
  [owner, ada, bob, eve, viewer] = await Promise.all(Array.from({ length: 5 }, () => registerUser(app)));
  workspaceId = (await createWorkspace(owner)).id;
  for (const person of [ada, bob, eve]) await addMember(app, workspaceId, person, 'member');
  await addMember(app, workspaceId, viewer, 'viewer');
});
afterEach(closeSockets);
afterAll(() => app.stop());

const room = async (visibility: 'public' | 'private' = 'private') => {
  const one = await createRoom(ada, { visibility, workspaceId });
  if (visibility === 'private') {
    await addToRoom(ada, one.id, bob, 'speaker');
    await addToRoom(ada, one.id, viewer, 'listener');
  }
  return one;
};
const name = ({ id }: RoomAnswer) => `rooms/${id}`;
const messages = ({ id }: RoomAnswer) => `/v1/rooms/${id}/messages`;
const say = <Body = CloudEvent<unknown>>(person: Person, to: RoomAnswer, data: unknown, durable?: boolean) =>
  person.http.post<Body>(messages(to), { type: 'message.posted', data, durable });
const history = (person: Person, of: RoomAnswer, query = '') =>
  person.http.get<PageAnswer<CloudEvent<unknown>>>(`${messages(of)}${query}`);
const stored = async (of: RoomAnswer) =>
  (await app.sql<{ seq: string }>('SELECT seq FROM events WHERE subject = $1', [name(of)])).length;

describe('A message', () => {
  it('by request is the same event as by socket: for those in the room, in the history, at every instance', async () => {
    const one = await room();
    const listeners = await Promise.all([
      connectAndJoin(app, viewer.token, name(one)),
      connectAndJoin(second, bob.token, name(one)),
    ]);
    const data = { text: 'Hello', n: [1, null] };
    const answer = await say(ada, one, data);
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      specversion: '1.0',
      id: expect.any(String),
      source: `/v1/workspaces/${workspaceId}`,
      type: 'message.posted',
      subject: name(one),
      time: expect.stringMatching(/Z$/),
      datacontenttype: 'application/json',
      principal: ada.user.id,
      data,
    });
    const bySocket = await listeners[1].send<{ cursor: string }>('publish', {
      room: name(one),
      type: 'message.posted',
      data: 'by socket',
    });
    for (const client of listeners) {
      const [first, other] = await client.received(name(one), 2);
      expect(first).toEqual({
        room: name(one),
        cursor: answer.headers.get('stream-cursor'),
        event: answer.body,
      });
      expect(other).toMatchObject({ cursor: bySocket.data.cursor, event: { data: 'by socket' } });
    }
    const { body } = await history(viewer, one);
    expect(body.data).toEqual([listeners[0].events(name(one))[1].event, answer.body]);
  });

  it('that is not durable reaches those who are there, by request as by socket, and is never kept', async () => {
    const one = await room();
    const before = await stored(one);
    const clients = await Promise.all([
      connectAndJoin(app, bob.token, name(one)),
      connectAndJoin(second, viewer.token, name(one)),
    ]);
    const answer = await say(ada, one, { typing: true }, false);
    expect(answer.status).toBe(202);
    expect(answer.headers.get('stream-cursor')).toBeNull();
    for (const client of clients) {
      const [heard] = await client.received(name(one), 1);
      expect(heard).toEqual({ room: name(one), event: answer.body });
    }
    const by = { room: name(one), type: 'cursor', data: { x: 1 }, durable: false };
    expect((await clients[0].send('publish', by)).data).toEqual({});
    for (const client of clients) {
      const [, heard] = await client.received(name(one), 2);
      expect(heard?.event).toMatchObject({ type: 'cursor', principal: bob.user.id, data: { x: 1 } });
    }
    expect(await stored(one)).toBe(before);
    expect((await history(ada, one)).body.data).toEqual([]);
  });

  it.each([
    [{ type: 'note' }, 'validation_failed'],
    [{ type: 'note', data: null }, 'validation_failed'],
    [{ data: 1 }, 'validation_failed'],
    [{ type: 'no spaces', data: 1 }, 'validation_failed'],
    [{ type: 'note', data: 1, durable: 'yes' }, 'validation_failed'],
    [{ type: 'note', data: 1, room: 'items/1' }, 'validation_failed'],
    [{ type: 'room.member_removed', data: 1 }, 'reserved_type'],
    [{ type: 'room', data: 1 }, 'reserved_type'],
  ])('%j is refused: %s', async (request, code) => {
    const one = await room();
    const before = await stored(one);
    const { status, body } = await ada.http.post(messages(one), request);
    expect([status, body.code]).toEqual([400, code]);
    expect(await stored(one)).toBe(before);
  });

  it('is no longer than a socket could send', async () => {
    const one = await room();
    const { status, body } = await say<{ code: string }>(ada, one, 'x'.repeat(70_000));
    expect([status, body.code]).toEqual([413, 'message_too_large']);
  });
});

describe('Who speaks', () => {
  it('in a private room are its moderators and speakers; listeners listen, others find nothing', async () => {
    const one = await room();
    const expected = new Map([
      [ada, 201],
      [bob, 201],
      [viewer, 403],
      [eve, 404],
      [owner, 404],
    ]);
    for (const [person, status] of expected) {
      expect((await say(person, one, 1)).status).toBe(status);
      const client = await connect(app, { token: person.token });
      for (const durable of [true, false]) {
        const said = await client.send('publish', { room: name(one), type: 'note', data: 1, durable });
        if (status === 201) expect(said.event).toBe('published');
        else expect(said.data.code).toBe(status === 403 ? 'forbidden' : 'not_found');
      }
      const joined = await client.send('join', { room: name(one) });
      expect(joined.event).toBe(status === 404 ? 'error' : 'joined');
      expect((await history(person, one)).status).toBe(status === 404 ? 404 : 200);
    }
  });

  it('in a public room are the members of the workspace, unless they were silenced; viewers listen', async () => {
    const one = await room('public');
    await addToRoom(ada, one.id, eve, 'listener');
    await addToRoom(ada, one.id, viewer, 'speaker'); // a viewer of the workspace, all the same
    const expected = [
      [owner, 201],
      [bob, 201],
      [eve, 403],
      [viewer, 403],
    ] as const;
    for (const [person, status] of expected) {
      expect((await say(person, one, 1)).status).toBe(status);
      const client = await connectAndJoin(app, person.token, name(one));
      const said = await client.send('publish', { room: name(one), type: 'note', data: 1 });
      if (status === 201) expect(said.event).toBe('published');
      else expect(said.data).toMatchObject({ code: 'forbidden' });
    }
  });
});

describe('The history of a room', () => {
  it('is paged from the newest on, holds what people said, and lets a client go live with nothing between', async () => {
    const one = await room();
    const ids: string[] = [];
    for (let n = 0; n < 7; n++) {
      ids.push((await say(n % 2 ? bob : ada, one, n)).body.id);
      // What happens to the room, and elsewhere, is between.
      if (n % 3 === 0) await ada.http.patch(`/v1/rooms/${one.id}`, { name: `Room ${n}` });
      await owner.http.post('/v1/items', { title: 't', type: 't', data: {}, workspaceId });
    }
    const seen: string[] = [];
    let cursor: string | null = '';
    for (const length of [3, 3, 1]) {
      const page: Answer<PageAnswer<CloudEvent<unknown>>> = await history(
        viewer,
        one,
        `?limit=3${cursor && `&cursor=${cursor}`}`,
      );
      expect(page.body.data).toHaveLength(length);
      seen.push(...page.body.data.map(({ id }) => id));
      cursor = page.body.nextCursor;
    }
    expect(cursor).toBeNull();
    expect(seen).toEqual(ids.toReversed());
    const { headers } = await history(viewer, one, '?limit=1');
    const after = headers.get('stream-cursor') ?? '';
    const next = await say(ada, one, 'live');
    const client = await connect(second, { token: viewer.token });
    expect(await client.join(name(one), after)).toMatchObject({ recovered: true });
    const [heard] = await client.received(name(one), 1);
    expect(heard?.event).toEqual(next.body);
  });

  it('of a full page has no next one when there is no more', async () => {
    const one = await room();
    for (let n = 0; n < 2; n++) await say(ada, one, n);
    const { body } = await history(ada, one, '?limit=2');
    expect([body.data.length, body.nextCursor]).toEqual([2, null]);
  });

  it('breaks off pages that would be too long, and loses nothing', async () => {
    const one = await room();
    for (let n = 0; n < 40; n++) await say(ada, one, { n, text: 'é'.repeat(30_000) });
    const seen: number[] = [];
    let pages = 0;
    for (let cursor: string | null = ''; cursor !== null; pages++) {
      const page: Answer<PageAnswer<CloudEvent<{ n: number }>>> = await ada.http.get(
        `${messages(one)}?limit=100${cursor && `&cursor=${cursor}`}`,
      );
      expect(Buffer.byteLength(page.text)).toBeLessThan(1_200_000);
      seen.push(...page.body.data.map(({ data }) => data.n));
      cursor = page.body.nextCursor;
    }
    expect(pages).toBeGreaterThan(2);
    expect(seen).toEqual(Array.from({ length: 40 }, (_, n) => 39 - n));
  });

  it.each(['nonsense', '', '0', randomUUID(), Buffer.from('0').toString('base64url'), 'x'.repeat(201)])(
    'knows no cursor %j',
    async (cursor) => {
      const one = await room();
      const { status, body } = await ada.http.get(`${messages(one)}?cursor=${cursor}`);
      expect([status, body.code]).toEqual([400, 'validation_failed']);
    },
  );
});

describe('What is said in a room', () => {
  it.each(['private', 'public'] as const)(
    'that is %s is heard in no other: not in the workspace, live, resumed or page by page',
    async (visibility) => {
      const one = await room(visibility);
      const workspace = `workspaces/${workspaceId}`;
      const [witness, eavesdropper] = await Promise.all([
        connectAndJoin(app, ada.token, name(one)),
        connectAndJoin(second, eve.token, workspace),
      ]);
      const start = (await eavesdropper.join(workspace)).cursor.replace(/\d+$/, '0');
      await say(ada, one, 'secret');
      await say(ada, one, 'secret', false);
      await ada.http.patch(`/v1/rooms/${one.id}`, { name: 'Secret' });
      const { headers } = await ada.http.delete(`/v1/rooms/${one.id}`);
      await witness.received(name(one), 4);
      // Everything up to the close has passed there when this has.
      const item = await owner.http.post<{ id: string }>('/v1/items', {
        title: 'after',
        type: 't',
        data: {},
        workspaceId,
      });
      const heardLast = () =>
        eavesdropper.events(workspace).find(({ event }) => event.subject === `items/${item.body.id}`);
      const last = await eavesdropper.waitFor('the item', heardLast);
      expect(seqOf(last.cursor)).toBe(seqOf(headers.get('stream-cursor') ?? '') + 1);
      const resumed = await connectAndJoin(app, eve.token, workspace, start);
      await resumed.waitFor('the item', () =>
        resumed.events(workspace).find(({ cursor }) => cursor === last.cursor),
      );
      const pages = await eve.http.get(`/v1/events?room=${workspace}&limit=100`);
      for (const heard of [eavesdropper.events(workspace), resumed.events(workspace), pages.text])
        expect(JSON.stringify(heard)).not.toMatch(/secret|rooms\//i);
    },
  );

  it('that is private is nothing to others by any way in: as for a room that does not exist', async () => {
    const one = await room();
    const missing: RoomAnswer = { ...one, id: randomUUID() };
    const outsider = await registerUser(app);
    const text = ({ status, body }: Answer) =>
      JSON.stringify([status, { ...(body as object), requestId: '' }]);
    for (const person of [eve, outsider]) {
      const ways: ((of: RoomAnswer) => Promise<Answer>)[] = [
        (of) => person.http.get(`/v1/rooms/${of.id}`),
        (of) => person.http.patch(`/v1/rooms/${of.id}`, { name: 'x' }),
        (of) => person.http.delete(`/v1/rooms/${of.id}`),
        (of) => person.http.get(`/v1/rooms/${of.id}/members`),
        (of) =>
          person.http.post(`/v1/rooms/${of.id}/members`, { principalId: person.user.id, role: 'speaker' }),
        (of) => person.http.patch(`/v1/rooms/${of.id}/members/${ada.user.id}`, { role: 'speaker' }),
        (of) => person.http.delete(`/v1/rooms/${of.id}/members/${ada.user.id}`),
        (of) => person.http.delete(`/v1/rooms/${of.id}/members/${person.user.id}`),
        (of) => history(person, of),
        (of) => say(person, of, 1),
        (of) => say(person, of, 1, false),
        (of) => person.http.get(`/v1/events?room=${name(of)}`),
      ];
      for (const way of ways) {
        const there = await way(one);
        expect(there.status).toBe(404);
        expect(text(there)).toBe(text(await way(missing)));
      }
      const client = await connect(app, { token: person.token });
      for (const [event, more] of [
        ['join', {}],
        ['publish', { type: 'note', data: 1 }],
      ] as const) {
        const there = await client.send(event, { room: name(one), ...more });
        const nowhere = await client.send(event, { room: name(missing), ...more });
        expect([there.event, there.data]).toEqual([nowhere.event, nowhere.data]);
        expect(there.data).toMatchObject({ code: 'not_found' });
      }
    }
    expect(await stored(one)).toBe(3);
  });
});
