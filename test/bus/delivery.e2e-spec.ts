import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { StreamTail } from '../../src/events/stream-tail.js';
import { Streams } from '../../src/events/streams.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { untilOnBus } from '../support/bus.js';
import { http } from '../support/http.js';
import { addMember, createItem, type Person, registerUser } from '../support/people.js';
import { closeSockets, connectAndJoin, seqOf, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';

let app: TestApp;
let elsewhere: Instance;
let ada: Person;
let room: string;
let there: SocketClient;
beforeAll(async () => {
  app = await startAtrium();
  elsewhere = await app.startSecondInstance();
});
beforeEach(async () => {
  ada = await registerUser(app);
  room = `workspaces/${ada.workspaceId}`;
  there = await connectAndJoin(elsewhere, ada.token, room);
  await untilOnBus(app, elsewhere);
});
afterEach(closeSockets);
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1);
const seqs = (client: SocketClient) => client.events(room).map(({ cursor }) => seqOf(cursor));
const sweeps = (instance: Instance) =>
  jest.spyOn(instance.nest.get<StreamTail, { sweep(): Promise<void> }>(StreamTail), 'sweep');
/** What arrives was told, not looked for. */
const withoutSweep = () => [app, elsewhere].map((instance) => sweeps(instance).mockResolvedValue());
const tell = (told: unknown) =>
  app.sql('SELECT pg_notify($1, $2)', ['atrium', `0/1:${JSON.stringify([randomUUID(), told])}`]);
const say = (client: SocketClient, data: object) =>
  client.send('publish', { room, type: 'typing', data, durable: false });

describe('What is written at one instance', () => {
  it('arrives at the sockets of the other without a sweep, in order, once', async () => {
    withoutSweep();
    await createItem(ada);
    await there.received(room, 1);
    const other = http(elsewhere, ada.token);
    const item = { title: 'x', type: 'x', data: {} };
    await Promise.all(upTo(60).map((n) => (n % 3 ? ada.http : other).post('/v1/items', item)));
    await there.received(room, 61);
    await there.barrier();
    expect(seqs(there)).toEqual(upTo(61));
  });

  it('takes its rooms from who lost them, without a sweep', async () => {
    const bob = await registerUser(app);
    await addMember(app, ada.workspaceId, bob, 'member');
    const his = await connectAndJoin(elsewhere, bob.token, room);
    withoutSweep();
    const removed = await ada.http.delete(`/v1/workspaces/${ada.workspaceId}/members/${bob.user.id}`);
    expect(removed.status).toBe(204);
    const left = await his.waitFor('left', () => his.frames.find(({ event }) => event === 'left'));
    expect(left.data).toEqual({ room, code: 'membership_lost' });
  });

  it('costs nothing at an instance where nobody follows the stream', async () => {
    const read = jest.spyOn(elsewhere.nest.get(Streams), 'read');
    const eve = await registerUser(app);
    await createItem(eve);
    await createItem(ada); // is told later, and arrives
    await there.received(room, 1);
    expect(read.mock.calls.map(([streamId]) => streamId)).not.toContain(eve.workspaceId);
  });
});

describe('A head that somebody makes up', () => {
  it('costs a look, and nobody hears anything of it', async () => {
    const [, sweep] = withoutSweep();
    const read = jest.spyOn(elsewhere.nest.get(Streams), 'read');
    const entries = ['7', '0', '-1', '1e3', 'NaN', '', '9007199254740993', 'x'.repeat(100)];
    for (const head of entries) await tell([['streams', [[ada.workspaceId, head]]]]);
    await tell([['streams', [['no stream', '7']]]]);
    await tell([['streams', null]]);
    await until('everything was heard', () => (sweep?.mock.calls.length ?? 0) > 0);
    expect(read.mock.calls.length).toBeLessThanOrEqual(2); // 7 and 1e3
    await createItem(ada);
    await there.received(room, 1);
    await there.barrier();
    expect(seqs(there)).toEqual([1]);
  });
});

describe('A message that is not kept', () => {
  it('reaches the sockets in the room at every instance, once each', async () => {
    const here = await connectAndJoin(app, ada.token, room);
    await say(here, { n: 1 });
    await say(here, { n: 2 });
    await there.received(room, 2);
    await say(there, { n: 3 });
    for (const client of [here, there]) {
      await client.received(room, 3);
      await client.barrier();
      expect(client.events(room).map(({ event }) => event.data)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
      expect(client.events(room).every(({ cursor }) => cursor === undefined)).toBe(true);
    }
    expect(there.events(room)).toEqual(here.events(room));
    expect(await app.sql('SELECT 1 FROM events WHERE stream_id = $1', [ada.workspaceId])).toEqual([]);
  });

  it('may be as large as a frame, in any script', async () => {
    const here = await connectAndJoin(app, ada.token, room);
    const data = { text: '💡ж"\\ '.repeat(4_000) };
    await say(here, data);
    const [heard] = await there.received(room, 1);
    expect(heard?.event.data).toEqual(data);
  });

  it('is refused to whoever may not publish, before anybody is told', async () => {
    const viewer = await registerUser(app);
    await addMember(app, ada.workspaceId, viewer, 'viewer');
    const silent = await connectAndJoin(app, viewer.token, room);
    const refused = await silent.send('publish', { room, type: 'typing', data: { n: 1 }, durable: false });
    expect(refused).toMatchObject({ event: 'error', data: { code: 'forbidden' } });
    const here = await connectAndJoin(app, ada.token, room);
    await say(here, { n: 2 });
    await there.received(room, 1);
    expect(there.events(room).map(({ event }) => event.data)).toEqual([{ n: 2 }]);
  });

  it('stays in its room, and does not arrive if it is none', async () => {
    const eve = await registerUser(app);
    const hers = await connectAndJoin(elsewhere, eve.token, `workspaces/${eve.workspaceId}`);
    const event = (subject: unknown) => JSON.stringify({ subject, data: {} });
    for (const text of ['', '{', '1', 'null', '{}', event(1), event(`workspaces/${eve.workspaceId}`)])
      await tell([['rooms', [[`${room} ${randomUUID()}`, text]]]]);
    await tell([['rooms', null]]);
    const here = await connectAndJoin(app, ada.token, room);
    await say(here, { n: 1 });
    await there.received(room, 1);
    await hers.barrier();
    expect(there.events(room).map(({ event: { data } }) => data)).toEqual([{ n: 1 }]);
    expect(hers.events(`workspaces/${eve.workspaceId}`)).toEqual([]);
  });
});

describe('Without the bus', () => {
  it('events still arrive, by the sweep, and afterwards by the bus again', async () => {
    const terminated = await app.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'atrium bus'`,
    );
    expect(terminated).toHaveLength(2);
    for (const _ of upTo(3)) await createItem(ada);
    await there.received(room, 3);
    await untilOnBus(app, elsewhere);
    withoutSweep();
    for (const _ of upTo(3)) await createItem(ada);
    await there.received(room, 6);
    await there.barrier();
    expect(seqs(there)).toEqual(upTo(6));
  });
});
