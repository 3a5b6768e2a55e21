import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect, connectAndJoin, type RoomEvent, seqOf } from '../support/sockets.js';
import { until } from '../support/until.js';

let app: TestApp;
beforeAll(async () => {
  app = await startAtrium({ SOCKET_FRAME_RATE: '100000' });
});
afterEach(closeSockets);
afterAll(() => app.stop());

const workspace = (person: Person) => `workspaces/${person.workspaceId}`;
/** The stream as it stands in the table: seq and id. */
const table = async (person: Person, subject?: string) =>
  (
    await app.sql<{ seq: string; id: string }>(
      'SELECT seq, id FROM events WHERE stream_id = $1 AND ($2::text IS NULL OR subject = $2) ORDER BY seq',
      [person.workspaceId, subject ?? null],
    )
  ).map(({ seq, id }) => [Number(seq), id]);
const heard = (events: readonly RoomEvent[]) => events.map(({ cursor, event }) => [seqOf(cursor), event.id]);
/** Pseudo-random numbers below 1, the same in every run (mulberry32). */
const seeded = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
};

/** Appends without telling anybody, as another instance would that is killed after its commit. */
async function appendInBulk(person: Person, count: number, length: number): Promise<void> {
  await app.sql(
    `WITH stream AS (UPDATE streams SET head = head + $2 WHERE id = $1 RETURNING id, head - $2 AS base)
    INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
    SELECT id, base + n, gen_random_uuid(), 'note', 'workspaces/' || id, $3,
      jsonb_build_object('n', n, 'text', repeat('x', $4))
    FROM stream, generate_series(1, $2) n`,
    [person.workspaceId, count, person.user.id, length],
  );
}

/** Many writers at once, by REST and by socket, until each has done its rounds. */
async function write(person: Person, rounds: number, writers = 8): Promise<void> {
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      const socket = await connect(app, { token: person.token });
      for (let round = 0; round < rounds; round++) {
        const item = await createItem(person, { title: `${writer}/${round}` });
        const room = `items/${item.id}`;
        const path = `/v1/${room}`;
        const steps = [
          person.http.patch(path, { data: { round } }),
          socket.send('publish', { room, type: 'note', data: { round } }),
          person.http.patch(path, { data: { writer } }),
          socket.send('publish', { room: workspace(person), type: 'note', data: { round } }),
        ];
        await Promise.all(steps);
        if (round % 2 === 0) await person.http.delete(path);
      }
    }),
  );
}

describe('Under concurrent writers', () => {
  it('every subscriber hears the stream as it stands in the table: in order, without gap, once', async () => {
    const ada = await registerUser(app);
    const subscribers = [];
    for (let n = 0; n < 5; n++) subscribers.push(await connectAndJoin(app, ada.token, workspace(ada)));
    await write(ada, 6);
    const expected = await table(ada);
    expect(expected).toHaveLength(8 * (6 * 5 + 3));
    expect(expected.map(([seq]) => seq)).toEqual(expected.map((_, n) => n + 1));
    for (const subscriber of subscribers) {
      await subscriber.received(workspace(ada), expected.length);
      await subscriber.barrier();
      expect(heard(subscriber.events(workspace(ada)))).toEqual(expected);
    }
  });

  it.each([
    [1, false],
    [2, true],
    [3, true],
  ])(
    'a client that reconnects again and again misses nothing and hears nothing twice (seed %d, alone: %p)',
    async (seed, alone) => {
      const random = seeded(seed);
      const ada = await registerUser(app);
      const log: RoomEvent[] = [];
      const first = await connect(app, { token: ada.token });
      let { cursor } = await first.join(workspace(ada));
      // With somebody else there the instance remembers; alone, everything comes from the database.
      if (alone) await first.vanish();
      let end = Infinity;
      const done = write(ada, 6).then(async () => (end = (await table(ada)).length));
      let reconnects = 0;
      while (seqOf(cursor) < end) {
        const client = await connect(app, { token: ada.token });
        const joined = await client.join(workspace(ada), cursor);
        expect(joined).toMatchObject({ room: workspace(ada), cursor, recovered: true });
        const wanted = Math.floor(random() * 20);
        await until('enough events', () => {
          const missing = Math.min(wanted, end - seqOf(cursor));
          return client.events(workspace(ada)).length >= missing;
        });
        await (random() < 0.5 ? client.vanish() : client.close());
        const events = client.events(workspace(ada));
        log.push(...events);
        cursor = events.at(-1)?.cursor ?? cursor;
        reconnects++;
      }
      await done;
      expect(reconnects).toBeGreaterThan(5);
      expect(heard(log)).toEqual(await table(ada));
    },
  );
});

describe('Resuming', () => {
  it('further back than memory reaches reads what is missing, page by page, and goes on live', async () => {
    const ada = await registerUser(app);
    const present = await connect(app, { token: ada.token });
    const { cursor } = await present.join(workspace(ada));
    const count = 2_600;
    await appendInBulk(ada, count, 1_000);
    await present.received(workspace(ada), count);
    const late = await connect(app, { token: ada.token });
    expect(await late.join(workspace(ada), cursor)).toMatchObject({ recovered: true, cursor });
    await createItem(ada);
    await late.received(workspace(ada), count + 1);
    await late.barrier();
    const events = late.events(workspace(ada));
    expect(heard(events)).toEqual(await table(ada));
    expect(events[count - 1]?.event.data).toMatchObject({ n: count });
    await present.received(workspace(ada), count + 1);
    expect(present.events(workspace(ada))).toEqual(events);
  });

  it('in the room of an item of a busy workspace brings the events of that item, all of them, and only them', async () => {
    const ada = await registerUser(app);
    const item = await createItem(ada);
    const room = `items/${item.id}`;
    const client = await connect(app, { token: ada.token });
    const { cursor } = await client.join(room);
    await Promise.all([
      write(ada, 6),
      (async () => {
        for (let n = 0; n < 30; n++) await ada.http.patch(`/v1/${room}`, { data: { n } });
      })(),
    ]);
    const expected = await table(ada, room);
    const late = await connect(app, { token: ada.token });
    expect(await late.join(room, cursor)).toMatchObject({ recovered: true, cursor });
    await late.received(room, 30);
    expect(heard(late.events(room))).toEqual(expected.slice(1));
    await client.received(room, 30);
    expect(client.events(room)).toEqual(late.events(room));
    await closeSockets();
    const alone = await connect(app, { token: ada.token });
    await alone.join(room, cursor);
    await alone.received(room, 30);
    await ada.http.patch(`/v1/${room}`, { data: { n: 30 } });
    await alone.received(room, 31);
    await alone.barrier();
    expect(heard(alone.events(room))).toEqual((await table(ada, room)).slice(1));
  });

  it.each([
    ['a list', (person: Person) => person.http.get('/v1/items')],
    ['an item', async (person: Person) => person.http.get(`/v1/items/${(await createItem(person)).id}`)],
    [
      'a created item',
      (person: Person) => person.http.post('/v1/items', { title: 'x', type: 'x', data: {} }),
    ],
  ])('after the cursor of %s loses nothing in between, and repeats nothing of before', async (_, fetch) => {
    const ada = await registerUser(app);
    await createItem(ada);
    const answer = await fetch(ada);
    const cursor = answer.headers.get('stream-cursor') ?? '';
    expect(seqOf(cursor)).toBe((await table(ada)).length);
    const between = await createItem(ada);
    const client = await connect(app, { token: ada.token });
    expect(await client.join(workspace(ada), cursor)).toMatchObject({ recovered: true, cursor });
    const after = await createItem(ada);
    const events = await client.received(workspace(ada), 2);
    expect(events.map(({ event }) => event.subject)).toEqual([`items/${between.id}`, `items/${after.id}`]);
  });

  it('a fetched list and the events after it make the list as it is', async () => {
    const ada = await registerUser(app);
    const writing = write(ada, 6, 4);
    const list = await ada.http.get<{ data: ItemAnswer[]; nextCursor: string | null }>('/v1/items?limit=100');
    expect(list.body.nextCursor).toBeNull();
    const items = new Map(list.body.data.map((item) => [item.id, item]));
    const client = await connect(app, { token: ada.token });
    const cursor = list.headers.get('stream-cursor') ?? '';
    await client.join(workspace(ada), cursor);
    await writing;
    await client.received(workspace(ada), (await table(ada)).length - seqOf(cursor));
    for (const { event } of client.events(workspace(ada))) {
      if (!event.type.startsWith('item.')) continue;
      const item = event.data as unknown as ItemAnswer;
      expect(item.version).toBe((items.get(item.id)?.version ?? 0) + 1);
      items.set(item.id, item);
      if (event.type === 'item.deleted') items.delete(item.id);
    }
    const now = await ada.http.get<{ data: ItemAnswer[] }>('/v1/items?limit=100');
    expect([...items.values()].sort((a, b) => (a.id < b.id ? 1 : -1))).toEqual(now.body.data);
  });

  it.each([
    ['of another history', (cursor: string) => cursor.replace(/^[^-]+/, 'abcdef012345'), 'epoch_changed'],
    [
      'from the future',
      (cursor: string) => cursor.replace(/\d+$/, (seq) => `${Number(seq) + 1}`),
      'cursor_ahead',
    ],
    ['beyond all numbers', (cursor: string) => cursor.replace(/\d+$/, '9999999999999999'), 'cursor_ahead'],
  ])(
    'after a cursor %s says that the state must be fetched anew, and goes on from now',
    async (_, of, reason) => {
      const ada = await registerUser(app);
      await createItem(ada);
      const client = await connect(app, { token: ada.token });
      const { cursor } = await client.join(workspace(ada));
      const joined = await client.join(workspace(ada), of(cursor));
      expect(joined).toMatchObject({ room: workspace(ada), cursor, recovered: false, reason });
      await createItem(ada);
      const [event] = await client.received(workspace(ada), 1);
      expect(seqOf(event?.cursor)).toBe(2);
    },
  );

  it.each([
    '',
    '-',
    'nonsense',
    'abc-',
    'abc--1',
    'abc-1.5',
    'abc-01',
    'abc-1 ',
    'ABC-1',
    'x'.repeat(65),
    7,
    null,
  ])('after %p, which is no cursor, is refused', async (after) => {
    const ada = await registerUser(app);
    const client = await connect(app, { token: ada.token });
    const answer = await client.send('join', { room: workspace(ada), after });
    expect(answer.data.code).toMatch(/^(invalid_cursor|validation_failed)$/);
  });

  it('from the beginning brings everything', async () => {
    const ada = await registerUser(app);
    await createItem(ada);
    const client = await connect(app, { token: ada.token });
    const { cursor } = await client.join(workspace(ada));
    await client.join(workspace(ada), cursor.replace(/\d+$/, '0'));
    expect(heard(await client.received(workspace(ada), 1))).toEqual(await table(ada));
  });
});
