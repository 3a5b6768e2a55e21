import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Client } from 'pg';
import { Announcements } from '../../src/events/announcements.js';
import { EventRetention } from '../../src/events/event-retention.js';
import { Streams } from '../../src/events/streams.js';
import { ClosedRoomRetention } from '../../src/custom-rooms/closed-room-retention.js';
import { createRoom, roomPath } from '../support/custom-rooms.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { closeStreams, follow } from '../support/event-streams.js';
import { createItem, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect, connectAndJoin, seqOf, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';

const DAYS = 86_400_000;

let app: TestApp;
let elsewhere: Instance;
let ada: Person;
let room: string;
beforeAll(async () => {
  app = await startAtrium({ EVENT_RETENTION_DAYS: '2' });
  elsewhere = await app.startSecondInstance();
});
beforeEach(async () => {
  ada = await registerUser(app);
  room = `workspaces/${ada.workspaceId}`;
});
afterEach(closeStreams);
afterEach(closeSockets);
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1);
const seqs = (client: SocketClient) => client.events(room).map(({ cursor }) => seqOf(cursor));
/** A round of one instance, as if so many days had passed. */
async function pass(
  days: number,
  { nest }: Instance = app,
  what: typeof EventRetention | typeof ClosedRoomRetention = EventRetention,
): Promise<void> {
  const retention = nest.get<unknown, { clock: unknown; run(): Promise<void> }>(what, { strict: false });
  const { clock } = retention;
  // Only this clock: by the instance's own every token would have expired.
  retention.clock = { now: () => Date.now() + days * DAYS };
  try {
    await retention.run();
  } finally {
    retention.clock = clock;
  }
}
const read = (after?: string) =>
  ada.http.get<PageAnswer<{ cursor: string }> & { code?: string }>(
    `/v1/events?room=${room}${after === undefined ? '' : `&after=${after}`}`,
  );
const left = (client: SocketClient) =>
  client.waitFor('left', () => client.frames.find(({ event }) => event === 'left'));
const kept = async () =>
  Number(
    (await app.sql<{ min_seq: string }>('SELECT min_seq FROM streams WHERE id = $1', [ada.workspaceId]))[0]
      ?.min_seq,
  );

describe('What is too old', () => {
  it('is dropped in whole, by every reader told from what is kept, and numbers go on', async () => {
    for (const _ of upTo(3)) await createItem(ada);
    const { body } = await read();
    await pass(1);
    expect((await read()).body.data).toHaveLength(3);
    await pass(4);
    expect(await kept()).toBe(4);
    const none = await read();
    expect([none.body.data, seqOf(none.headers.get('stream-cursor') ?? '')]).toEqual([[], 3]);
    for (const _ of upTo(2)) await createItem(ada);
    expect((await read()).body.data.map(({ cursor }) => seqOf(cursor))).toEqual([4, 5]);
    const old = body.data[0]?.cursor;
    const refused = await read(old);
    expect(refused).toMatchObject({ status: 410, body: { code: 'cursor_too_old' } });
    const again = await read(refused.headers.get('stream-cursor') ?? '');
    expect(again.body.data.map(({ cursor }) => seqOf(cursor))).toEqual([4, 5]);
    // The last cursor before what is kept misses nothing.
    expect((await read(body.data[2]?.cursor)).status).toBe(200);
    for (const at of [app, elsewhere]) {
      const socket = await connect(at, { token: ada.token });
      const joined = await socket.join(room, old);
      expect([joined.recovered, joined.reason, seqOf(joined.cursor)]).toEqual([false, 'cursor_too_old', 5]);
      expect((await socket.join(room, body.data[2]?.cursor)).recovered).toBe(true);
      await socket.received(room, 2);
      const stream = await follow(at, ada.token, room, old);
      expect(stream.of('joined')[0]?.data).toMatchObject({ recovered: false, reason: 'cursor_too_old' });
    }
  });

  it('goes from the default partition, too, where events are while no partition was made for them', async () => {
    await pass(4); // the partition of today is gone by now
    await createItem(ada);
    const [{ partition }] = await app.sql<{ partition: string }>(
      'SELECT tableoid::regclass::text AS partition FROM events WHERE stream_id = $1',
      [ada.workspaceId],
    );
    expect(partition).toBe('events_default');
    await app.nest.get(EventRetention).run();
    expect((await read()).body.data).toHaveLength(1);
    await pass(4);
    expect((await read()).body.data).toEqual([]);
    expect(await kept()).toBe(2);
  });

  it('is dropped once when all instances are at it at the same time, while everybody writes', async () => {
    const socket = await connectAndJoin(elsewhere, ada.token, room);
    const writes = (async () => {
      for (const _ of upTo(20)) await Promise.all(upTo(5).map(() => createItem(ada)));
    })();
    await Promise.all([pass(4, app), pass(4, elsewhere)]);
    await writes;
    // Whoever had not read what went is told; nobody misses something silently.
    const isOut = () => socket.frames.some(({ event }) => event === 'left');
    await until('all, or the word', () => isOut() || socket.events(room).length === 100);
    const heard = seqs(socket);
    expect(heard).toEqual(upTo(heard.length));
    const rest = (await read()).body.data.map(({ cursor }) => seqOf(cursor));
    expect(rest[0] ?? 101).toBe(await kept());
  });

  it('waits while somebody reads it, and holds up nobody for long', async () => {
    await createItem(ada);
    const reader = new Client({ connectionString: app.databaseUrl });
    await reader.connect();
    try {
      await reader.query('BEGIN');
      await reader.query('SELECT count(*) FROM events');
      const passed = pass(4);
      const socket = await connectAndJoin(app, ada.token, room);
      for (const _ of upTo(5)) await createItem(ada);
      await socket.received(room, 5);
      await reader.query('COMMIT');
      await passed;
      expect(await kept()).toBeGreaterThan(1);
    } finally {
      await reader.end();
    }
  });
});

describe('Who is replaying while it is dropped', () => {
  it('is told so instead of missing something or waiting for ever, and can join again', async () => {
    const socket = await connectAndJoin(app, ada.token, room);
    const { cursor } = await socket.join(room);
    const stream = await follow(elsewhere, ada.token, room, cursor);
    expect(stream.of('joined')[0]?.data).toMatchObject({ recovered: true });
    await app.sql(
      `WITH stream AS (UPDATE streams SET head = head + $2 WHERE id = $1 RETURNING id, head - $2 AS base)
      INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
      SELECT id, base + n, gen_random_uuid(), 'note', 'workspaces/' || id, $1, to_jsonb(repeat('x', 2000))
      FROM stream, generate_series(1, $2) n`,
      [ada.workspaceId, 6_000],
    );
    await until('all of it', () => socket.events(room).length === 6_000);
    const late = await connect(app, { token: ada.token });
    const streams = app.nest.get(Streams);
    const page = streams.read.bind(streams);
    let pages = 0;
    jest.spyOn(streams, 'read').mockImplementation(async (...args) => {
      if (++pages === 3) await pass(4);
      return page(...args);
    });
    await late.join(room, cursor);
    expect((await left(late)).data).toEqual({ room, code: 'cursor_too_old' });
    const received = seqs(late);
    expect(received).toEqual(upTo(received.length));
    expect(received.length).toBeLessThan(6_000);
    await late.join(room);
    await createItem(ada);
    await late.received(room, received.length + 1);
    expect(seqs(late).at(-1)).toBe(6_001);
  });

  it('as an instance that has not heard of it, tells its sockets and streams, and goes on', async () => {
    const socket = await connectAndJoin(app, ada.token, room);
    const stream = await follow(app, ada.token, room);
    await createItem(ada);
    await socket.received(room, 1);
    jest.spyOn(app.nest.get(Announcements), 'announce').mockImplementation(() => undefined);
    const read = jest.spyOn(app.nest.get(Streams), 'read').mockResolvedValue([]);
    for (const _ of upTo(3)) await createItem(ada);
    await pass(4);
    read.mockRestore();
    expect((await left(socket)).data).toEqual({ room, code: 'cursor_too_old' });
    expect(seqs(socket)).toEqual([1]);
    await stream.received('left');
    await socket.join(room);
    await createItem(ada);
    await socket.received(room, 2);
    expect(seqs(socket)).toEqual([1, 5]);
    // It has come back by itself.
    const [, second] = await stream.received('joined', 2);
    expect(second?.data).toMatchObject({ recovered: false, reason: 'cursor_too_old' });
  });
});

describe('A closed room', () => {
  it('goes with the last of what was said in it, and no room that is open', async () => {
    const [closed, open] = [await createRoom(ada), await createRoom(ada)];
    await ada.http.post(`${roomPath(closed)}/messages`, { type: 'said', data: {} });
    await ada.http.delete(roomPath(closed));
    const statuses = async () => [
      (await ada.http.get(roomPath(closed))).status,
      (await ada.http.get(`${roomPath(closed)}/messages`)).status,
      (await ada.http.get(roomPath(open))).status,
    ];
    // Long closed, and yet there is something to be read.
    await pass(30, app, ClosedRoomRetention);
    expect(await statuses()).toEqual([200, 200, 200]);
    await pass(30);
    await pass(1, app, ClosedRoomRetention);
    expect(await statuses()).toEqual([200, 200, 200]);
    await pass(30, app, ClosedRoomRetention);
    expect(await statuses()).toEqual([404, 404, 200]);
    expect(await app.sql(`SELECT FROM jobs.schedule WHERE name = 'rooms.retention'`)).toHaveLength(1);
  });
});
