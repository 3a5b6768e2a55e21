import { isDeepStrictEqual } from 'node:util';
import { request } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { StreamTail } from '../../src/events/stream-tail.js';
import type { Connection } from '../../src/rooms/connection.js';
import { Connections } from '../../src/rooms/connections.js';
import { RoomHub } from '../../src/rooms/room-hub.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect, connectAndJoin, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';

const HEARTBEAT_MS = 5_000;

let app: TestApp;
let ada: Person;
let room: string;
beforeAll(async () => {
  app = await startAtrium({ SOCKET_HEARTBEAT_MS: String(HEARTBEAT_MS) });
  ada = await registerUser(app);
  room = `workspaces/${ada.workspaceId}`;
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeSockets();
  await until('nothing kept', () => Object.values(kept(app)).every((count) => count === 0));
});
afterAll(() => app.stop());

/** What an instance keeps for its sockets. */
function kept({ nest }: Instance): Record<string, number> {
  const { byClient } = nest.get<Connections, { byClient: Map<unknown, unknown> }>(Connections);
  const hub = nest.get<RoomHub, Record<'rooms' | 'subscriptions', Map<unknown, unknown>>>(RoomHub);
  const tail = nest.get<StreamTail, Record<'followed' | 'live', Map<unknown, unknown>>>(StreamTail);
  return {
    connections: byClient.size,
    rooms: hub.rooms.size,
    subscriptions: hub.subscriptions.size,
    followed: tail.followed.size,
    live: tail.live.size,
  };
}
const nothing = { connections: 0, rooms: 0, subscriptions: 0, followed: 0, live: 0 };
/** Moves the time by which idle sockets are judged, further each time. */
const real = performance.now.bind(performance);
const letPass = (ms: number) => jest.spyOn(performance, 'now').mockImplementation(() => real() + ms);

describe('A socket that goes', () => {
  it.each([
    ['closes', (client: SocketClient) => client.close()],
    ['vanishes', (client: SocketClient) => client.vanish()],
  ])('(%s) leaves nothing behind: no connection, room, subscription or followed stream', async (_, go) => {
    const item = await createItem(ada);
    const clients = [];
    for (let n = 0; n < 5; n++) {
      const client = await connectAndJoin(app, ada.token, room);
      await client.join(`items/${item.id}`);
      clients.push(client);
    }
    expect(kept(app)).toEqual({ connections: 5, rooms: 2, subscriptions: 5, followed: 1, live: 1 });
    await Promise.all(clients.map(go));
    await until('nothing kept', () => kept(app).connections === 0);
    expect(kept(app)).toEqual(nothing);
  });

  it('in the middle of joining leaves nothing behind either', async () => {
    const item = await createItem(ada);
    for (let n = 0; n < 30; n++) {
      const client = await connect(app, { token: ada.token });
      const last = client.post('ping');
      if (n % 3 > 0) await client.reply(last);
      client.post('join', { room });
      client.post('join', { room: `items/${item.id}` });
      client.post('join', { room });
      if (n % 2 === 0) await new Promise(setImmediate);
      await client.vanish();
    }
    await until('nothing kept', () => kept(app).connections === 0);
    // A join that was under way may only now begin to follow, and let go.
    await until('nothing kept', () => isDeepStrictEqual(kept(app), nothing));
  });

  it('before it has said who it is leaves nothing behind', async () => {
    const client = await connect(app);
    expect(kept(app)).toMatchObject({ connections: 1 });
    await client.vanish();
    await until('nothing kept', () => kept(app).connections === 0);
  });

  it('does not disturb those who stay', async () => {
    const stays = await connectAndJoin(app, ada.token, room);
    const goes = await connectAndJoin(app, ada.token, room);
    await createItem(ada);
    await goes.vanish();
    await createItem(ada);
    await stays.received(room, 2);
  });
});

describe('The heartbeat', () => {
  it('asks who is silent, keeps who answers, and closes with 4201 who does not', async () => {
    const alive = await connectAndJoin(app, ada.token, room);
    const dead = await connect(app, { token: ada.token, autoPong: false });
    const pinged = [alive, dead].map(
      (client) => new Promise<void>((resolve) => client.socket.once('ping', () => resolve())),
    );
    letPass(HEARTBEAT_MS + 1);
    await Promise.all(pinged);
    await alive.barrier();
    letPass(2 * HEARTBEAT_MS);
    expect(await dead.closed).toMatchObject({ code: 4201 });
    await alive.barrier();
  });

  it('takes any frame for a sign of life', async () => {
    const busy = await connect(app, { token: ada.token, autoPong: false });
    await busy.barrier();
    letPass(1.5 * HEARTBEAT_MS);
    await busy.barrier();
    letPass(2.5 * HEARTBEAT_MS);
    await new Promise<void>((resolve) => {
      busy.socket.once('ping', () => resolve()); // the round has looked at it, and did not close it
    });
    await busy.barrier();
  });

  it('cuts off a peer that is gone without a word: no answer, no close', async () => {
    const url = new URL(app.url);
    const socket = connectTcp(Number(url.port), url.hostname);
    socket.write(
      `GET /ws HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'A'.repeat(22)}==\r\nAuthorization: Bearer ${ada.token}\r\n\r\n`,
    );
    socket.on('error', () => undefined);
    await until('connected', () => kept(app).connections === 1);
    letPass(2 * HEARTBEAT_MS + 1_000);
    await until('cut off', () => kept(app).connections === 0);
    socket.destroy();
  });
});

describe('An instance that stops', () => {
  it('tells every socket to reconnect elsewhere (1012), and does not wait for those who do not answer', async () => {
    const instance = await app.startSecondInstance();
    const clients = [
      await connectAndJoin(instance, ada.token, room),
      await connect(instance, { token: ada.token }),
      await connect(instance),
    ];
    const url = new URL(instance.url);
    const mute = request({
      host: url.hostname,
      port: url.port,
      path: '/ws',
      headers: {
        Upgrade: 'websocket',
        Connection: 'Upgrade',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': `${'A'.repeat(22)}==`,
        Authorization: `Bearer ${ada.token}`,
      },
    });
    mute.on('error', () => undefined);
    const upgraded = new Promise<void>((resolve) =>
      mute.once('upgrade', (_, socket) => {
        socket.on('error', () => undefined);
        resolve(); // and never reads or answers again
      }),
    );
    mute.end();
    await upgraded;
    const { byClient } = instance.nest.get<Connections, { byClient: Map<unknown, Connection> }>(Connections);
    const cut = [...byClient.values()].map((connection) => jest.spyOn(connection, 'terminate'));
    const stopped = instance.stop();
    for (const client of clients) expect(await client.closed).toMatchObject({ code: 1012 });
    await stopped;
    // The instance cut off the mute one itself, and no other.
    expect(cut.map(({ mock }) => mock.calls.length)).toEqual([0, 0, 0, 1]);
    expect(kept(instance)).toEqual(nothing);
  });

  it('what was published and answered before is there for whoever comes back', async () => {
    const instance = await app.startSecondInstance();
    const client = await connectAndJoin(instance, ada.token, room);
    const { cursor } = await client.join(room);
    const ids = Array.from({ length: 20 }, (_, n) =>
      client.post('publish', { room, type: 'note', data: { n } }),
    );
    await client.reply(ids[4] ?? 0);
    await instance.stop();
    await client.closed;
    const answered = client.frames
      .filter(({ event }) => event === 'published')
      .map(({ data }) => data.cursor);
    const back = await connect(app, { token: ada.token });
    await back.join(room, cursor);
    await back.received(room, answered.length);
    await back.barrier();
    const heard = back.events(room).map((event) => event.cursor);
    expect(heard).toEqual(expect.arrayContaining(answered));
    expect(back.events(room).map(({ event }) => event.data.n)).toEqual(heard.map((_, n) => n));
  });
});
