import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { RoomDirectory } from '../../src/rooms/room-directory.js';
import type { Instance, TestApp } from '../support/app.js';
import { addMember, createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connect, connectAndJoin, seqOf, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';
import { createWorkspace, type WorkspaceAnswer } from '../support/workspaces.js';

let app: TestApp;
let second: Instance;
let [owner, bob]: Person[] = [];
let workspace: WorkspaceAnswer;
let item: ItemAnswer;
let room: string;
beforeAll(async () => {
  app = await sharedAtrium();
  second = await sharedSecondInstance();
  [owner, bob] = [await registerUser(app), await registerUser(app)];
});
afterEach(closeSockets);
afterAll(() => app.stop());
beforeEach(async () => {
  workspace = await createWorkspace(owner);
  room = `workspaces/${workspace.id}`;
  await addMember(app, workspace.id, bob, 'member');
  item = await createItem(owner, { workspaceId: workspace.id });
});

const membership = () => `/v1/workspaces/${workspace.id}/members/${bob.user.id}`;
/** @returns the position of the removal */
async function removeBob(): Promise<number> {
  const { status, headers } = await owner.http.delete(membership());
  expect(status).toBe(204);
  return seqOf(headers.get('stream-cursor') ?? '');
}
const write = () => owner.http.patch(`/v1/items/${item.id}`, { data: { at: performance.now() } });
const left = (client: SocketClient, of: string, code: string) =>
  client.waitFor(`left ${of}`, () =>
    client.frames.find(({ event, data }) => event === 'left' && data.room === of && data.code === code),
  );
const seqs = (client: SocketClient, of: string) => client.events(of).map(({ cursor }) => seqOf(cursor));
const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n);

describe('A lost membership', () => {
  it('takes the rooms away soon at every instance: all before it has come, nothing after', async () => {
    const rooms = [room, `items/${item.id}`];
    const clients = await Promise.all([app, second].map((at) => connect(at, { token: bob.token })));
    const witness = await connectAndJoin(second, owner.token, room);
    for (const client of clients) for (const one of rooms) await client.join(one);
    const own = await connectAndJoin(second, bob.token, `workspaces/${bob.workspaceId}`);

    const writes = Array.from({ length: 40 }, () => write());
    const removal = await removeBob();
    await Promise.all(clients.flatMap((client) => rooms.map((one) => left(client, one, 'membership_lost'))));

    await Promise.all(writes);
    await write();
    await witness.received(room, 42);
    for (const client of clients) {
      await client.barrier();
      expect(seqs(client, room)).toEqual(upTo(2, removal - 1));
      expect(seqs(client, `items/${item.id}`)).toEqual(upTo(2, removal - 1));
      expect((await client.send('join', { room })).data).toMatchObject({ code: 'not_found' });
      expect(client.socket.readyState).toBe(client.socket.OPEN);
    }
    await createItem(bob);
    await own.received(`workspaces/${bob.workspaceId}`, 1);
  });

  it('stops those who are catching up', async () => {
    await app.sql(
      `WITH more AS (
         INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
         SELECT $1, n, gen_random_uuid(), 'note', $2, $3, to_jsonb(repeat('x', 2000)) FROM generate_series(2, 8000) n)
       UPDATE streams SET head = 8000 WHERE id = $1`,
      [workspace.id, room, owner.user.id],
    );
    const client = await connect(app, { token: bob.token });
    const witness = await connectAndJoin(app, owner.token, room);
    const { cursor } = await witness.send<{ cursor: string }>('ping').then(() => client.join(room));
    await client.send('leave', { room });
    const start = cursor.replace(/\d+$/, '0');
    client.socket.pause();
    client.post('join', { room, after: start });
    await write();
    await witness.received(room, 1);
    const removal = await removeBob();
    await write();
    await witness.received(room, 3);
    client.socket.resume();
    await left(client, room, 'membership_lost');
    await client.barrier();
    const received = seqs(client, room);
    expect(received).toEqual(upTo(1, received.length));
    expect(received.length).toBeLessThan(removal);
  });

  it('is not outrun by a join that was authorised before it', async () => {
    const witness = await connectAndJoin(second, owner.token, room);
    const client = await connect(second, { token: bob.token });
    const directory = second.nest.get(RoomDirectory);
    const authorise = directory.authorise.bind(directory);
    let passed = (): void => undefined;
    const removed = new Promise<void>((resolve) => (passed = resolve));
    let asked = 0;
    directory.authorise = async (principal, name) => {
      const grant = await authorise(principal, name);
      // Authorised; but before the answer is used, the removal happens and passes the hub of this instance.
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
      await write();
      await witness.received(room, 2);
      await client.barrier();
      expect(client.events(room)).toEqual([]);
    } finally {
      directory.authorise = authorise;
    }
  });

  it('and joins at the same moment, in 20 rounds: whoever got in is put out, nobody hears what comes after', async () => {
    const third = await app.startSecondInstance({ STREAM_SWEEP_MS: '50' });
    const witness = await connectAndJoin(third, owner.token, room);
    for (let round = 0; round < 20; round++) {
      const client = await connect(third, { token: bob.token });
      const [answer, removal] = await Promise.all([client.send('join', { room }), removeBob()]);
      await write();
      await witness.received(room, 3 * round + 2);
      await client.barrier();
      if (answer.event === 'joined') await left(client, room, 'membership_lost');
      expect(seqs(client, room).filter((seq) => seq >= removal)).toEqual([]);
      await client.close();
      await addMember(app, workspace.id, bob, 'member');
      await write();
    }
  });

  it('refuses a write that was under way and had to wait', async () => {
    const blocker = new Client({ connectionString: app.databaseUrl });
    await blocker.connect();
    try {
      await blocker.query('BEGIN');
      await blocker.query('SELECT 1 FROM items WHERE id = $1 FOR UPDATE', [item.id]);
      const under = bob.http.patch(`/v1/items/${item.id}`, { title: 'after all' });
      await until('the write waits', async () => {
        const waiting = await app.sql(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return waiting.length > 0;
      });
      await removeBob();
      await blocker.query('COMMIT');
      expect((await under).status).toBe(404);
    } finally {
      await blocker.end();
    }
    const { body } = await owner.http.get<ItemAnswer>(`/v1/items/${item.id}`);
    expect(body).toEqual(item);
  });

  it('is the end of writing: every write in flight is before it or refused, in 10 rounds', async () => {
    for (let round = 0; round < 10; round++) {
      const writes = Array.from({ length: 15 }, (_, n) =>
        n % 2
          ? bob.http.patch(`/v1/items/${item.id}`, { data: { n } })
          : bob.http.post('/v1/items', { title: 't', type: 't', data: {}, workspaceId: workspace.id }),
      );
      const removal = await removeBob();
      for (const { status, headers } of await Promise.all(writes)) {
        expect([200, 201, 404]).toContain(status);
        if (status !== 404) expect(seqOf(headers.get('stream-cursor') ?? '')).toBeLessThan(removal);
      }
      const later = await app.sql(
        'SELECT 1 FROM events WHERE stream_id = $1 AND principal_id = $2 AND seq > $3',
        [workspace.id, bob.user.id, removal],
      );
      expect(later).toEqual([]);
      await addMember(app, workspace.id, bob, 'member');
    }
  });

  it('refuses a message at an instance that has not heard of it yet', async () => {
    const client = await connectAndJoin(second, bob.token, room);
    await removeBob();
    const answer = await client.send('publish', { room, type: 'note', data: 'too late' });
    expect(answer).toMatchObject({ event: 'error', data: { code: 'not_found' } });
    const notes = await app.sql(`SELECT 1 FROM events WHERE stream_id = $1 AND type = 'note'`, [
      workspace.id,
    ]);
    expect(notes).toEqual([]);
  });
});

describe('A changed role', () => {
  it('lets a new viewer listen on, and publish nothing any more, at every instance', async () => {
    const clients = await Promise.all([app, second].map((at) => connectAndJoin(at, bob.token, room)));
    for (const client of clients)
      expect((await client.send('publish', { room, type: 'note', data: 1 })).event).toBe('published');
    await owner.http.patch(membership(), { role: 'viewer' });
    for (const client of clients) {
      const durable = await client.send('publish', { room, type: 'note', data: 2 });
      expect(durable.data).toMatchObject({ code: 'forbidden' });
      await client.waitFor('the event of it', () =>
        client.events(room).find(({ event }) => event.type === 'member.updated'),
      );
      const ephemeral = await client.send('publish', { room, type: 'note', data: 3, durable: false });
      expect(ephemeral.data).toMatchObject({ code: 'forbidden' });
    }
    await write();
    for (const client of clients) await client.received(room, 4);
    expect((await bob.http.patch(`/v1/items/${item.id}`, { title: 'x' })).status).toBe(403);
    await owner.http.patch(membership(), { role: 'member' });
    for (const client of clients)
      expect((await client.send('publish', { room, type: 'note', data: 4 })).event).toBe('published');
  });
});

describe('A deleted workspace', () => {
  it('puts everybody out of its rooms soon, at every instance', async () => {
    const clients = await Promise.all(
      [app, second].flatMap((at) => [owner, bob].map(({ token }) => connectAndJoin(at, token, room))),
    );
    const deleted = await owner.http.delete(`/v1/workspaces/${workspace.id}?confirm=Team`);
    expect(deleted.status).toBe(204);
    await Promise.all(clients.map((client) => left(client, room, 'workspace_deleted')));
    for (const client of clients) {
      expect((await client.send('join', { room })).data).toMatchObject({ code: 'not_found' });
      const said = await client.send('publish', { room, type: 'note', data: 1 });
      expect(said.data).toMatchObject({ code: 'not_found' });
    }
  });
});
