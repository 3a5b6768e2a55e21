import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { addMember, createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect, connectAndJoin, seqOf } from '../support/sockets.js';

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium({ SOCKET_ROOM_LIMIT: '3' });
  ada = await registerUser(app);
});
afterEach(closeSockets);
afterAll(() => app.stop());

const workspace = (person: Person = ada) => `workspaces/${person.workspaceId}`;
const head = async (person: Person = ada) => {
  const [row] = await app.sql<{ head: string }>('SELECT head FROM streams WHERE id = $1', [
    person.workspaceId,
  ]);
  return Number(row?.head);
};

describe('Joining a room', () => {
  it('answers with the position from which everything follows, under the id of the frame', async () => {
    await createItem(ada);
    const client = await connect(app, { token: ada.token });
    const id = client.post('join', { room: workspace() });
    const joined = await client.reply<{ room: string; cursor: string; recovered: boolean }>(id);
    expect(joined).toMatchObject({
      event: 'joined',
      id,
      data: { room: workspace(), cursor: expect.stringMatching(/^[0-9a-z]+-\d+$/), recovered: false },
    });
    expect(seqOf(joined.data.cursor)).toBe(await head());
    const item = await createItem(ada);
    const [event] = await client.received(workspace(), 1);
    expect(event?.event.subject).toBe(`items/${item.id}`);
    expect(seqOf(event?.cursor)).toBe(seqOf(joined.data.cursor) + 1);
  });

  it.each([
    ['that is in the path, with a header', true],
    ['that is in the path, with a first frame', false],
  ])('%s happens on connect', async (_, byHeader) => {
    const path = `/ws/${workspace()}`;
    const client = await connect(app, byHeader ? { path, token: ada.token } : { path });
    if (!byHeader) client.post('auth', { token: ada.token });
    await client.waitFor('joined', () => client.frames.find(({ event }) => event === 'joined'));
    expect(client.frames.map(({ event }) => event)).toEqual(['ready', 'joined']);
    const item = await createItem(ada);
    const [event] = await client.received(workspace(), 1);
    expect(event?.event.subject).toBe(`items/${item.id}`);
  });

  it('that is in the path and that one may not see answers with an error, and the socket stays', async () => {
    const client = await connect(app, { path: `/ws/items/${randomUUID()}`, token: ada.token });
    await client.waitFor('error', () => client.frames.find(({ event }) => event === 'error'));
    expect(client.frames[1]).toMatchObject({ data: { code: 'not_found' } });
    expect(await client.join(workspace())).toBeDefined();
  });

  it('that one may not see answers as for a room that does not exist', async () => {
    const mallory = await registerUser(app);
    const item = await createItem(ada);
    const client = await connect(app, { token: mallory.token });
    const rooms = [
      workspace(),
      `items/${item.id}`,
      `workspaces/${randomUUID()}`,
      `items/${randomUUID()}`,
      `nonsense/${randomUUID()}`,
      `constructor/${randomUUID()}`,
      `items/${'-'.repeat(36)}`,
    ];
    for (const event of ['join', 'publish']) {
      const answers = [];
      for (const room of rooms) {
        const more = event === 'publish' ? { type: 'note', data: {} } : {};
        answers.push((await client.send(event, { room, ...more })).data);
      }
      expect(new Set(answers.map((data) => JSON.stringify(data))).size).toBe(1);
      expect(answers[0]).toMatchObject({ code: 'not_found' });
    }
  });

  it.each([undefined, '', 'items', 'items/1', `Items/${randomUUID()}`, `items/${randomUUID()}/more`, 7, {}])(
    'that is no room (%p) is refused with a pointer',
    async (room) => {
      const client = await connect(app, { token: ada.token });
      expect((await client.send('join', { room })).data).toMatchObject({
        code: 'validation_failed',
        errors: [{ pointer: '/room' }],
      });
    },
  );

  it('more often than the bound allows is refused, until one is left', async () => {
    const client = await connect(app, { token: ada.token });
    const rooms = [];
    for (let n = 0; n < 4; n++) rooms.push(`items/${(await createItem(ada)).id}`);
    for (const room of rooms.slice(0, 3)) await client.join(room);
    const refused = await client.send('join', { room: rooms[3] });
    expect(refused.data).toMatchObject({ code: 'too_many_rooms' });
    expect(await client.join(rooms[0] ?? '')).toBeDefined(); // it is in this one already
    expect((await client.send('leave', { room: rooms[0] })).event).toBe('left');
    expect(await client.join(rooms[3] ?? '')).toBeDefined();
  });

  it('again starts again, from the cursor that is given', async () => {
    const client = await connectAndJoin(app, ada.token, workspace());
    const from = (await client.join(workspace())).cursor;
    for (let n = 0; n < 3; n++) await createItem(ada);
    await client.received(workspace(), 3);
    const again = await client.join(workspace(), from);
    expect(again).toMatchObject({ recovered: true, cursor: from });
    const events = await client.received(workspace(), 6);
    await createItem(ada);
    await client.received(workspace(), 7);
    await client.barrier();
    expect(client.events(workspace())).toHaveLength(7); // each once from then on
    expect(events.slice(3)).toEqual(events.slice(0, 3));
  });

  it('again with a cursor that is none leaves the socket in the room', async () => {
    const client = await connectAndJoin(app, ada.token, workspace());
    const refused = await client.send('join', { room: workspace(), after: 'nonsense' });
    expect(refused.data).toMatchObject({ code: 'invalid_cursor' });
    await createItem(ada);
    await client.received(workspace(), 1);
  });
});

describe('Leaving a room', () => {
  it('ends its events and no others', async () => {
    const item = await createItem(ada);
    const room = `items/${item.id}`;
    const client = await connectAndJoin(app, ada.token, workspace());
    await client.join(room);
    expect(await client.send('leave', { room })).toMatchObject({ event: 'left', data: { room } });
    await ada.http.patch(`/v1/items/${item.id}`, { title: 'Changed' });
    await client.received(workspace(), 1);
    await client.barrier();
    expect(client.events(room)).toEqual([]);
  });

  it('that one is not in is an error', async () => {
    const client = await connect(app, { token: ada.token });
    const room = workspace();
    expect((await client.send('leave', { room })).data).toMatchObject({ code: 'not_joined' });
  });
});

describe('A change of an item', () => {
  it('is heard in its room and in its workspace: who, what, the version, and the record as it is now', async () => {
    const bob = await registerUser(app);
    await addMember(app, ada.workspaceId, bob, 'member');
    const item = await createItem(ada, { data: { done: false } });
    const room = `items/${item.id}`;
    const client = await connectAndJoin(app, ada.token, workspace());
    await client.join(room);
    const { body, headers } = await http(app, bob.token).patch<ItemAnswer>(`/v1/items/${item.id}`, {
      data: { done: true },
    });
    const [own] = await client.received(room, 1);
    const [inWorkspace] = await client.received(workspace(), 1);
    expect(own).toMatchObject({
      room,
      cursor: headers.get('stream-cursor'),
      event: {
        specversion: '1.0',
        source: `/v1/workspaces/${ada.workspaceId}`,
        type: 'item.updated',
        subject: room,
        time: body.updatedAt,
        datacontenttype: 'application/json',
        principal: bob.user.id,
        data: body,
      },
    });
    expect(own?.event.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(inWorkspace).toEqual({ ...own, room: workspace() });
  });

  it('reads the same live and from the stream', async () => {
    const live = await connectAndJoin(app, ada.token, workspace());
    const { cursor } = await live.join(workspace());
    const item = await createItem(ada, { title: 'Ünï "quoted" 😀', data: { b: 1, a: [1.5, null, 'x'] } });
    await ada.http.patch(`/v1/items/${item.id}`, { data: { b: null } });
    await ada.http.delete(`/v1/items/${item.id}`);
    await live.send('publish', { room: `items/${item.id}`, type: 'gone', data: {} });
    const heard = await live.received(workspace(), 3);
    await closeSockets();
    // Nobody follows any more, so the instance has forgotten: this is read from the database.
    const late = await connectAndJoin(app, ada.token, workspace(), cursor);
    expect(await late.received(workspace(), heard.length)).toEqual(heard);
    expect(heard.map(({ event }) => event.type)).toEqual(['item.created', 'item.updated', 'item.deleted']);
    expect(heard.map(({ event }) => event.data.version)).toEqual([1, 2, 3]);
  });

  it('in another workspace is not heard', async () => {
    const mallory = await registerUser(app);
    const client = await connectAndJoin(app, ada.token, workspace());
    await createItem(mallory);
    await createItem(ada);
    await client.received(workspace(), 1);
    await client.barrier();
    expect(client.events(workspace())).toHaveLength(1);
  });
});
