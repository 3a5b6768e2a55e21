import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Announcements } from '../../src/events/announcements.js';
import type { StreamEvent } from '../../src/events/stream-event.js';
import { StreamTail } from '../../src/events/stream-tail.js';
import { Streams } from '../../src/events/streams.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connect, connectAndJoin, seqOf, type SocketClient } from '../support/sockets.js';

let app: TestApp;
let elsewhere: Instance;
let ada: Person;
let room: string;
beforeAll(async () => {
  app = await sharedAtrium();
  elsewhere = await sharedSecondInstance();
});
beforeEach(async () => {
  ada = await registerUser(app);
  room = `workspaces/${ada.workspaceId}`;
});
afterEach(closeSockets);
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

const seqs = (client: SocketClient) => client.events(room).map(({ cursor }) => seqOf(cursor));
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1);

describe('Two instances on one database', () => {
  it('what is written at one arrives at the sockets of the other within the sweep, in order', async () => {
    const there = await connectAndJoin(elsewhere, ada.token, room);
    const here = await connectAndJoin(app, ada.token, room);
    await createItem(ada);
    await there.received(room, 1);
    const other = http(elsewhere, ada.token);
    const item = { title: 'x', type: 'x', data: {} };
    await Promise.all(upTo(40).map((n) => (n % 2 ? ada.http : other).post('/v1/items', item)));
    for (const client of [here, there]) {
      await client.received(room, 41);
      await client.barrier();
      expect(seqs(client)).toEqual(upTo(41));
    }
    expect(there.events(room)).toEqual(here.events(room));
  });

  it('a cursor of one is good at the other, at once', async () => {
    const here = await connectAndJoin(app, ada.token, room);
    const there = await connectAndJoin(elsewhere, ada.token, room); // follows, and has not swept yet
    await createItem(ada);
    const [first] = await here.received(room, 1);
    const cursor = first?.cursor ?? '';
    const moved = await connect(elsewhere, { token: ada.token });
    expect(await moved.join(room, cursor)).toMatchObject({ room, cursor, recovered: true });
    await createItem(ada);
    await moved.received(room, 1);
    expect(seqs(moved)).toEqual([2]);
    await there.received(room, 2);
    expect(seqs(there)).toEqual([1, 2]);
  });
});

describe('Announcements are only hints', () => {
  it('with all of them lost, every event arrives by the sweep', async () => {
    const client = await connectAndJoin(app, ada.token, room);
    jest.spyOn(app.nest.get(Announcements), 'announce').mockImplementation(() => undefined);
    for (const _ of upTo(5)) await createItem(ada);
    await client.received(room, 5);
    expect(seqs(client)).toEqual(upTo(5));
  });

  it('with one of them lost, the next brings both, in order', async () => {
    const client = await connectAndJoin(app, ada.token, room);
    const announce = jest.spyOn(app.nest.get(Announcements), 'announce');
    // Without the sweep: the gap itself is noticed.
    jest.spyOn(app.nest.get<StreamTail, { sweep(): Promise<void> }>(StreamTail), 'sweep').mockResolvedValue();
    announce.mockImplementationOnce(() => undefined);
    await createItem(ada);
    await client.barrier();
    expect(seqs(client)).toEqual([]);
    await createItem(ada);
    await client.received(room, 2);
    expect(seqs(client)).toEqual([1, 2]);
  });

  it('out of order and doubled, they are put in order, each once', async () => {
    const client = await connectAndJoin(app, ada.token, room);
    const announcements = app.nest.get(Announcements);
    const real = announcements.announce.bind(announcements);
    const kept: StreamEvent[] = [];
    jest.spyOn(announcements, 'announce').mockImplementation((events) => void kept.push(...events));
    for (const _ of upTo(20)) await createItem(ada);
    kept.reverse();
    for (const event of kept) real([event, event]);
    for (const event of kept) real([event]);
    await client.received(room, 20);
    await client.barrier();
    expect(seqs(client)).toEqual(upTo(20));
  });

  it('a client that reads on from the database ahead of them hears nothing twice', async () => {
    await createItem(ada);
    const item = await createItem(ada);
    const client = await connectAndJoin(app, ada.token, room);
    const announcements = app.nest.get(Announcements);
    const real = announcements.announce.bind(announcements);
    const kept: (readonly StreamEvent[])[] = [];
    jest.spyOn(announcements, 'announce').mockImplementation((events) => void kept.push(events));
    jest.spyOn(app.nest.get<StreamTail, { sweep(): Promise<void> }>(StreamTail), 'sweep').mockResolvedValue();
    for (const _ of upTo(3)) await ada.http.patch(`/v1/items/${item.id}`, { data: {} });
    const { cursor } = await client.join(room);
    const start = cursor.replace(/\d+$/, '0');
    const late = await connectAndJoin(app, ada.token, room, start);
    const inItem = await connectAndJoin(app, ada.token, `items/${item.id}`, start);
    await late.received(room, 2);
    await inItem.received(`items/${item.id}`, 1);
    for (const events of kept) real(events);
    await late.received(room, 5);
    await inItem.received(`items/${item.id}`, 4);
    for (const one of [late, inItem]) await one.barrier();
    expect(seqs(late)).toEqual(upTo(5));
    expect(inItem.events(`items/${item.id}`).map((event) => seqOf(event.cursor))).toEqual([2, 3, 4, 5]);
  });

  it('a hole in the stream, whoever made it, is told of, neither waited at nor passed over', async () => {
    const client = await connectAndJoin(app, ada.token, room);
    await createItem(ada);
    await client.received(room, 1);
    jest.spyOn(app.nest.get(Announcements), 'announce').mockImplementation(() => undefined);
    const streams = app.nest.get(Streams);
    const read = jest.spyOn(streams, 'read').mockResolvedValue([]); // nobody reads before the hole is there
    for (const _ of upTo(3)) await createItem(ada);
    await app.sql('DELETE FROM events WHERE stream_id = $1 AND seq = 2', [ada.workspaceId]);
    read.mockRestore();
    const left = await client.waitFor('left', () => client.frames.find(({ event }) => event === 'left'));
    expect(left.data).toEqual({ room, code: 'cursor_too_old' });
    expect(seqs(client)).toEqual([1]); // never past the hole
    await client.join(room);
    await createItem(ada);
    await client.received(room, 2);
    expect(seqs(client)).toEqual([1, 5]);
  });

  it('of a stream that nobody follows here, they leave nothing behind', async () => {
    const tail = app.nest.get<StreamTail, { live: Map<string, unknown> }>(StreamTail);
    await createItem(ada);
    expect(tail.live.has(ada.workspaceId)).toBe(false);
  });
});

describe('A history that is another one', () => {
  let other: TestApp;
  beforeAll(async () => void (other = await startAtrium()));
  afterAll(() => other.stop());

  it('puts everybody out of the room with the reason, and old cursors are known for what they are', async () => {
    const eve = await registerUser(other);
    const hers = `workspaces/${eve.workspaceId}`;
    const client = await connect(other, { token: eve.token });
    await client.join(hers);
    for (const _ of upTo(3)) await createItem(eve);
    const events = await client.received(hers, 3);
    // As a restore from a backup would leave it.
    await other.sql('UPDATE stream_history SET nonce = gen_random_uuid()');
    await other.sql('DELETE FROM events WHERE seq > 1');
    await other.sql('UPDATE streams SET head = 1 WHERE head > 1');
    const left = await client.waitFor('left', () => client.frames.find(({ event }) => event === 'left'));
    expect(left.data).toEqual({ room: hers, code: 'epoch_changed' });
    const again = await client.join(hers, events[1]?.cursor);
    expect(again).toMatchObject({ recovered: false, reason: 'epoch_changed' });
    expect(seqOf(again.cursor)).toBe(1);
    await createItem(eve);
    await client.received(hers, 4);
    expect(seqOf(client.events(hers).at(-1)?.cursor)).toBe(2);
  });

  it('is recognised although its numbers go on further than the old ones', async () => {
    const eve = await registerUser(other);
    const hers = `workspaces/${eve.workspaceId}`;
    const client = await connectAndJoin(other, eve.token, hers);
    await createItem(eve);
    await client.received(hers, 1);
    // A failover lost that event, and by now others have its number.
    await other.sql('UPDATE stream_history SET nonce = gen_random_uuid()');
    await other.sql('UPDATE streams SET head = head + 5');
    const left = await client.waitFor('left', () => client.frames.find(({ event }) => event === 'left'));
    expect(left.data).toEqual({ room: hers, code: 'epoch_changed' });
  });
});
