import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import { addMember, createItem, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { closeSockets, connect, connectAndJoin, seqOf } from '../support/sockets.js';

let app: TestApp;
let ada: Person;
let room: string;
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
  room = `workspaces/${ada.workspaceId}`;
});
afterEach(closeSockets);
afterAll(() => app.stop());

const stored = () =>
  app.sql<{ seq: string; type: string; data: unknown }>(
    'SELECT seq, type, data FROM events WHERE stream_id = $1 ORDER BY seq',
    [ada.workspaceId],
  );
const member = async (role: string) => {
  const person = await registerUser(app);
  await addMember(app, ada.workspaceId, person, role);
  return person;
};

describe('Publishing', () => {
  it('keeps the message in the stream, tells the cursor, and reaches everybody in the room, the publisher too', async () => {
    const publisher = await connectAndJoin(app, ada.token, room);
    const listener = await connectAndJoin(app, (await member('viewer')).token, room);
    const data = { text: 'Hello', nested: { list: [1, 2.5, null, true] } };
    const answer = await publisher.send<{ cursor: string }>('publish', {
      room,
      type: 'message.posted',
      data,
    });
    expect(answer.event).toBe('published');
    const [heard] = await listener.received(room, 1);
    expect(await publisher.received(room, 1)).toEqual([heard]);
    expect(heard).toMatchObject({
      cursor: answer.data.cursor,
      event: { type: 'message.posted', subject: room, principal: ada.user.id, data },
    });
    expect((await stored()).at(-1)).toEqual({
      seq: String(seqOf(answer.data.cursor)),
      type: 'message.posted',
      data,
    });
  });

  it.each([
    ['an object', { a: 1 }],
    ['a text', 'x'],
    ['a number', 0],
    ['false', false],
    ['a list', []],
  ])('takes %s as data, and gives it back unchanged, durable or not', async (_, data) => {
    const client = await connectAndJoin(app, ada.token, room);
    await client.send('publish', { room, type: 'note', data });
    await client.send('publish', { room, type: 'note', data, durable: false });
    const events = await client.received(room, 2);
    expect(events.map(({ event }) => event.data)).toEqual([data, data]);
  });

  it('something ephemeral reaches those who are there, and is not kept', async () => {
    const before = await stored();
    const publisher = await connectAndJoin(app, ada.token, room);
    const listener = await connectAndJoin(app, ada.token, room);
    const absent = await connect(app, { token: ada.token });
    const answer = await publisher.send('publish', {
      room,
      type: 'typing',
      data: { on: true },
      durable: false,
    });
    expect(answer).toMatchObject({ event: 'published', data: {} });
    expect(answer.data).not.toHaveProperty('cursor');
    for (const client of [publisher, listener]) {
      const [heard] = await client.received(room, 1);
      expect(heard).not.toHaveProperty('cursor');
      expect(heard?.event).toMatchObject({
        specversion: '1.0',
        type: 'typing',
        subject: room,
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        principal: ada.user.id,
        data: { on: true },
      });
    }
    await absent.barrier();
    expect(absent.events(room)).toEqual([]);
    expect(await stored()).toEqual(before);
  });

  it('in the room of an item is heard in the workspace, and needs no joining', async () => {
    const item = await createItem(ada);
    const listener = await connectAndJoin(app, ada.token, room);
    const client = await connect(app, { token: ada.token });
    const answer = await client.send('publish', { room: `items/${item.id}`, type: 'comment', data: 'Well' });
    const [heard] = await listener.received(room, 1);
    expect(heard).toMatchObject({
      cursor: answer.data.cursor,
      event: { subject: `items/${item.id}`, type: 'comment', data: 'Well' },
    });
  });

  it('in the room of an item that was deleted meanwhile says that there is none, until it is restored', async () => {
    const item = await createItem(ada);
    const itsRoom = `items/${item.id}`;
    const client = await connectAndJoin(app, ada.token, itsRoom);
    const say = async (durable: boolean) =>
      (await client.send('publish', { room: itsRoom, type: 'note', data: {}, durable })).data;
    expect(await say(true)).toHaveProperty('cursor');
    await ada.http.delete(`/v1/items/${item.id}`);
    await client.received(itsRoom, 2);
    for (const durable of [true, false]) expect(await say(durable)).toMatchObject({ code: 'not_found' });
    await ada.http.post(`/v1/items/${item.id}/restore`);
    expect(await say(true)).toHaveProperty('cursor');
    const types = (await client.received(itsRoom, 4)).map(({ event }) => event.type);
    expect(types).toEqual(['note', 'item.deleted', 'item.restored', 'note']);
  });

  it('is not for a viewer, who may listen, whether in the room or not', async () => {
    const before = await stored();
    const viewer = await member('viewer');
    const client = await connectAndJoin(app, viewer.token, room);
    const item = await createItem(ada);
    const rooms = [room, `items/${item.id}`];
    for (const durable of [true, false])
      for (const to of rooms)
        expect(
          (await client.send('publish', { room: to, type: 'note', data: {}, durable })).data,
        ).toMatchObject({
          code: 'forbidden',
        });
    expect(await stored()).toHaveLength(before.length + 1); // the item
    await client.barrier();
    expect(client.events(room).map(({ event }) => event.type)).toEqual(['item.created']);
  });

  it.each([
    'item.created',
    'item.x',
    'workspace.updated',
    'member.removed',
    'room.a.b',
    'agent.online',
    'lease.lost',
  ])('cannot pretend to be %s', async (type) => {
    const client = await connectAndJoin(app, ada.token, room);
    for (const durable of [true, false]) {
      const answer = await client.send('publish', { room, type, data: {}, durable });
      expect(answer.data).toMatchObject({ code: 'reserved_type' });
    }
    expect(client.events(room)).toEqual([]);
  });

  it.each([
    [{ type: 'note' }, '/data'],
    [{ type: 'note', data: null }, '/data'],
    [{ data: {} }, '/type'],
    [{ type: 'no spaces', data: {} }, '/type'],
    [{ type: 'a'.repeat(65), data: {} }, '/type'],
    [{ type: 7, data: {} }, '/type'],
    [{ type: 'note', data: {}, durable: 'yes' }, '/durable'],
    [{ type: 'note', data: {}, extra: 1 }, '/extra'],
    [{ type: 'note', data: {}, room: 'nowhere' }, '/room'],
  ])('%j is refused with a pointer to %s', async (frame, pointer) => {
    const client = await connect(app, { token: ada.token });
    const answer = await client.send('publish', { room, ...frame });
    expect(answer).toMatchObject({
      event: 'error',
      data: { code: 'validation_failed', errors: [{ pointer }] },
    });
  });

  it('in a room that does not exist says so', async () => {
    const client = await connect(app, { token: ada.token });
    const answer = await client.send('publish', { room: `items/${randomUUID()}`, type: 'note', data: {} });
    expect(answer.data).toMatchObject({ code: 'not_found' });
  });
});

describe('The frames of one socket', () => {
  it('are handled in order, each answered, without waiting for the answers', async () => {
    const client = await connect(app);
    const expected: [number, string][] = [];
    const post = (event: string, data: unknown, answer: string) => {
      expected.push([client.post(event, data), answer]);
    };
    post('auth', { token: ada.token }, 'ready');
    for (let round = 0; round < 10; round++) {
      post('join', { room }, 'joined');
      post('publish', { room, type: `round.${round}`, data: { round } }, 'published');
      post('publish', { room, type: `round.${round}`, data: { round }, durable: false }, 'published');
      post('leave', { room }, 'left');
      post('leave', { room }, 'error');
    }
    const [last] = expected.at(-1) ?? [0];
    await client.reply(last);
    const answers = client.frames.filter(({ event }) => event !== 'event');
    expect(answers.map(({ id, event }) => [id, event])).toEqual(expected);
    const heard = client.events(room).filter(({ cursor }) => cursor !== undefined);
    expect(heard.map(({ event }) => event.data.round)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});
