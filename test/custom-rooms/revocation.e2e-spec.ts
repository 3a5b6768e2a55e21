import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RoomDirectory } from '../../src/rooms/room-directory.js';
import type { Instance, TestApp } from '../support/app.js';
import { addToRoom, createRoom, type RoomAnswer } from '../support/custom-rooms.js';
import { addMember, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connect, connectAndJoin, seqOf, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let second: Instance;
let [owner, ada, bob]: Person[] = [];
let workspaceId: string;
let one: RoomAnswer;
let room: string;
beforeAll(async () => {
  app = await sharedAtrium();
  second = await sharedSecondInstance();
  [owner, ada, bob] = await Promise.all(Array.from({ length: 3 }, () => registerUser(app)));
  workspaceId = (await createWorkspace(owner)).id;
  await addMember(app, workspaceId, ada, 'member');
  await addMember(app, workspaceId, bob, 'member');
});
afterEach(closeSockets);
afterAll(() => app.stop());
beforeEach(async () => {
  one = await createRoom(ada, { workspaceId });
  room = `rooms/${one.id}`;
  await addToRoom(ada, one.id, bob, 'speaker');
});

const membership = () => `/v1/rooms/${one.id}/members/${bob.user.id}`;
const position = (headers: Headers) => seqOf(headers.get('stream-cursor') ?? '');
async function removeBob(): Promise<number> {
  const { status, headers } = await ada.http.delete(membership());
  expect(status).toBe(204);
  return position(headers);
}
const say = (person: Person, data: unknown = 'said') =>
  person.http.post(`/v1/rooms/${one.id}/messages`, { type: 'note', data });
const left = (client: SocketClient, code: string, of = room) =>
  client.waitFor(`left ${of}`, () =>
    client.frames.find(({ event, data }) => event === 'left' && data.room === of && data.code === code),
  );
const seqs = (client: SocketClient) => client.events(room).map(({ cursor }) => seqOf(cursor));
const both = () => [app, second];

describe('Who is removed from a room', () => {
  it('loses it at every instance, with all before and nothing after, and keeps the other rooms', async () => {
    const other = `rooms/${(await createRoom(bob, { workspaceId })).id}`;
    const clients = await Promise.all(both().map((at) => connectAndJoin(at, bob.token, room)));
    const witness = await connectAndJoin(second, ada.token, room);
    for (const client of clients) {
      await client.join(other);
      await client.join(`workspaces/${workspaceId}`);
    }
    const said = Array.from({ length: 30 }, () => say(ada));
    const removal = await removeBob();
    await Promise.all(clients.map((client) => left(client, 'removed')));
    const before = (await Promise.all(said))
      .map(({ headers }) => position(headers))
      .filter((seq) => seq < removal);
    await say(ada, 'after');
    await witness.received(room, 32);
    expect(seqs(witness)).toContain(removal);
    for (const client of clients) {
      await client.barrier();
      expect(seqs(client)).toEqual(before.toSorted((a, b) => a - b));
      expect((await client.send('join', { room })).data).toMatchObject({ code: 'not_found' });
      expect((await client.send('publish', { room, type: 'note', data: 1 })).data).toMatchObject({
        code: 'not_found',
      });
      const more = { room: other, type: 'note', data: 'still here' };
      expect((await client.send('publish', more)).event).toBe('published');
    }
    for (const client of clients) {
      await client.received(other, 2);
      expect(client.frames.filter(({ event }) => event === 'left')).toHaveLength(1);
    }
    expect((await bob.http.get(`/v1/rooms/${one.id}/messages`)).status).toBe(404);
  });

  it('is not let in by a decision of before', async () => {
    const witness = await connectAndJoin(second, ada.token, room);
    const client = await connect(second, { token: bob.token });
    const directory = second.nest.get(RoomDirectory);
    const authorise = directory.authorise.bind(directory);
    let passed = (): void => undefined;
    const removed = new Promise<void>((resolve) => (passed = resolve));
    let asked = 0;
    directory.authorise = async (principal, name) => {
      const grant = await authorise(principal, name);
      if (principal.id === bob.user.id && ++asked === 1) await removed;
      return grant;
    };
    try {
      const answer = client.send('join', { room });
      await until('the question', () => asked === 1);
      await removeBob();
      await witness.received(room, 1);
      passed();
      expect(await answer).toMatchObject({ event: 'error', data: { code: 'not_found' } });
    } finally {
      directory.authorise = authorise;
    }
  });

  it('says nothing any more: every message in flight is before it or refused, in 10 rounds', async () => {
    for (let round = 0; round < 10; round++) {
      const client = await connectAndJoin(second, bob.token, room);
      const ids = Array.from({ length: 8 }, (_, n) =>
        client.post('publish', { room, type: 'note', data: n }),
      );
      const requests = Array.from({ length: 8 }, () => say(bob));
      const removal = await removeBob();
      for (const { status, headers } of await Promise.all(requests)) {
        expect([201, 404]).toContain(status);
        if (status === 201) expect(position(headers)).toBeLessThan(removal);
      }
      for (const id of ids) {
        const { event, data } = await client.reply(id);
        if (event === 'published') expect(seqOf(data.cursor as string)).toBeLessThan(removal);
        else expect(data).toMatchObject({ code: 'not_found' });
      }
      const later = await app.sql(
        'SELECT 1 FROM events WHERE subject = $1 AND principal_id = $2 AND seq > $3',
        [room, bob.user.id, removal],
      );
      expect(later).toEqual([]);
      await client.close();
      await addToRoom(ada, one.id, bob, 'speaker');
    }
  });

  it('and joins at the same moment, in 15 rounds: whoever got in is put out, nobody hears what comes after', async () => {
    const witness = await connectAndJoin(second, ada.token, room);
    for (let round = 0; round < 15; round++) {
      const client = await connect(second, { token: bob.token });
      const [answer, removal] = await Promise.all([client.send('join', { room }), removeBob()]);
      await say(ada);
      await witness.received(room, 3 * round + 2);
      await client.barrier();
      if (answer.event === 'joined') await left(client, 'removed');
      expect(seqs(client).filter((seq) => seq >= removal)).toEqual([]);
      await client.close();
      await addToRoom(ada, one.id, bob, 'speaker');
    }
  });

  it('by leaving: the same', async () => {
    const client = await connectAndJoin(second, bob.token, room);
    expect((await bob.http.delete(membership())).status).toBe(204);
    await left(client, 'removed');
  });
});

describe('Who becomes a listener', () => {
  it('listens on, and says nothing any more, at every instance', async () => {
    const clients = await Promise.all(both().map((at) => connectAndJoin(at, bob.token, room)));
    for (const client of clients)
      expect((await client.send('publish', { room, type: 'note', data: 1 })).event).toBe('published');
    await ada.http.patch(membership(), { role: 'listener' });
    for (const client of clients) {
      expect((await client.send('publish', { room, type: 'note', data: 2 })).data).toMatchObject({
        code: 'forbidden',
      });
      await client.waitFor('the event of it', () =>
        client.events(room).find(({ event }) => event.type === 'room.member_updated'),
      );
      const ephemeral = { room, type: 'note', data: 3, durable: false };
      expect((await client.send('publish', ephemeral)).data).toMatchObject({ code: 'forbidden' });
    }
    expect((await say(bob)).status).toBe(403);
    await say(ada, 'heard');
    for (const client of clients) await client.received(room, 4);
    await ada.http.patch(membership(), { role: 'speaker' });
    for (const client of clients)
      expect((await client.send('publish', { room, type: 'note', data: 4 })).event).toBe('published');
  });

  it('of a public room, too, by being added as one', async () => {
    const open = await createRoom(ada, { visibility: 'public', workspaceId });
    const name = `rooms/${open.id}`;
    const clients = await Promise.all(both().map((at) => connectAndJoin(at, bob.token, name)));
    for (const client of clients)
      expect((await client.send('publish', { room: name, type: 'note', data: 1 })).event).toBe('published');
    await addToRoom(ada, open.id, bob, 'listener');
    for (const client of clients) {
      await client.waitFor('the event of it', () =>
        client.events(name).find(({ event }) => event.type === 'room.member_added'),
      );
      for (const durable of [true, false]) {
        const message = { room: name, type: 'note', data: 2, durable };
        expect((await client.send('publish', message)).data).toMatchObject({ code: 'forbidden' });
      }
    }
  });
});

describe('Who loses the workspace', () => {
  it('loses its rooms, at every instance', async () => {
    const guest = await registerUser(app);
    await addMember(app, workspaceId, guest, 'member');
    await addToRoom(ada, one.id, guest, 'speaker');
    const clients = await Promise.all(both().map((at) => connectAndJoin(at, guest.token, room)));
    const removed = await owner.http.delete(`/v1/workspaces/${workspaceId}/members/${guest.user.id}`);
    await Promise.all(clients.map((client) => left(client, 'membership_lost')));
    await say(ada, 'after');
    for (const client of clients) {
      await client.barrier();
      expect(seqs(client).filter((seq) => seq >= position(removed.headers))).toEqual([]);
      expect((await client.send('publish', { room, type: 'note', data: 1 })).data).toMatchObject({
        code: 'not_found',
      });
    }
  });
});

describe('Those who are still in a room', () => {
  it.each(['is removed from the workspace', 'deletes the account'])(
    'hear that somebody left who %s, after that and before what comes next',
    async (how) => {
      const guest = await registerUser(app);
      await addMember(app, workspaceId, guest, 'member');
      await addToRoom(ada, one.id, guest, 'speaker');
      const closed = await createRoom(ada, { workspaceId });
      await addToRoom(ada, closed.id, guest, 'speaker');
      await ada.http.delete(`/v1/rooms/${closed.id}`);
      const witness = await connectAndJoin(second, ada.token, room);
      const member = { principalId: guest.user.id, role: 'speaker', version: 2 };
      const gone = how.startsWith('is')
        ? await owner.http.delete(`/v1/workspaces/${workspaceId}/members/${guest.user.id}`)
        : await guest.http.call('DELETE', '/v1/me', { json: { password: guest.password } });
      expect(gone.status).toBe(204);
      await say(ada, 'next');
      const heard = await witness.received(room, 2);
      expect(heard[0]?.event).toMatchObject({ type: 'room.member_removed', data: member });
      const types = await app.sql<{ type: string }>(
        `SELECT type FROM events WHERE stream_id = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq`,
        [workspaceId, seqOf(heard[0]?.cursor) - 1, seqOf(heard[1]?.cursor)],
      );
      expect(types.map(({ type }) => type)).toEqual(['member.removed', 'room.member_removed', 'note']);
      expect(await app.sql('SELECT 1 FROM room_members WHERE principal_id = $1', [guest.user.id])).toEqual(
        [],
      );
    },
  );
});

describe('A room that is closed', () => {
  it('is left by everybody after its last event, at every instance, and takes no message after it', async () => {
    const clients = await Promise.all(
      both().flatMap((at) => [ada, bob].map(({ token }) => connectAndJoin(at, token, room))),
    );
    const said = Array.from({ length: 30 }, (_, n) => say(n % 2 ? ada : bob));
    const closed = await ada.http.delete(`/v1/rooms/${one.id}`);
    const end = position(closed.headers);
    const kept: number[] = [];
    for (const { status, headers } of await Promise.all(said)) {
      expect([201, 409]).toContain(status);
      if (status === 201) kept.push(position(headers));
    }
    for (const client of clients) {
      await left(client, 'room_closed');
      expect(seqs(client)).toEqual([...kept.toSorted((a, b) => a - b), end]);
      expect(client.events(room).at(-1)?.event).toMatchObject({ type: 'room.closed', data: { id: one.id } });
      for (const durable of [true, false]) {
        const message = { room, type: 'note', data: 1, durable };
        expect((await client.send('publish', message)).data).toMatchObject({ code: 'room_closed' });
      }
    }
  });

  it('gives to who was away what was missed, to its end', async () => {
    const client = await connect(second, { token: bob.token });
    const { cursor } = await client.join(room);
    await client.vanish();
    await say(ada, 'missed');
    await ada.http.delete(`/v1/rooms/${one.id}`);
    const again = await connect(second, { token: bob.token });
    expect(await again.join(room, cursor)).toMatchObject({ recovered: true });
    const events = await again.received(room, 2);
    expect(events.map(({ event }) => event.type)).toEqual(['note', 'room.closed']);
  });
});
