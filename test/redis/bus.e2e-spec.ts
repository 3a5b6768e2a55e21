import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { StreamTail } from '../../src/events/stream-tail.js';
import { SessionRevocations } from '../../src/sessions/session-revocations.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { untilOnBus } from '../support/bus.js';
import { http } from '../support/http.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { closeSockets, connectAndJoin, seqOf, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';

describe.each([['one Redis'], ['a cluster']])('Over %s', (kind) => {
  let redis: TestRedis;
  let app: TestApp;
  let elsewhere: Instance;
  let ada: Person;
  let room: string;
  let there: SocketClient;
  beforeAll(async () => {
    redis = await startRedis({ cluster: kind === 'a cluster' });
    const url = kind === 'a cluster' ? `${redis.url},${redis.url}` : redis.url;
    app = await startAtrium({ REDIS_URL: url });
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
  afterAll(async () => {
    await app.stop();
    await redis.stop();
  });

  /** What arrives was told, not looked for. */
  const withoutLooking = () => {
    for (const { nest } of [app, elsewhere]) {
      jest.spyOn(nest.get<StreamTail, { sweep(): Promise<void> }>(StreamTail), 'sweep').mockResolvedValue();
      jest
        .spyOn(nest.get<SessionRevocations, { poll(): Promise<void> }>(SessionRevocations), 'poll')
        .mockResolvedValue();
    }
  };
  const writeAndHear = async (count: number) => {
    const before = there.events(room).length;
    for (let n = 0; n < count; n++) await createItem(ada);
    await there.received(room, before + count);
    await there.barrier();
    expect(there.events(room).map(({ cursor }) => seqOf(cursor))).toEqual(
      Array.from({ length: before + count }, (_, n) => n + 1),
    );
  };
  const readiness = async () => (await http(app).get('/health/ready')).status;

  it('events, messages and ends of sessions are told at once, and PostgreSQL is not asked to', async () => {
    withoutLooking();
    await writeAndHear(20);
    const here = await connectAndJoin(app, ada.token, room);
    const data = { text: '💡 '.repeat(8_000) };
    await here.send('publish', { room, type: 'typing', data, durable: false });
    await there.received(room, 21);
    expect(there.events(room).at(-1)?.event.data).toEqual(data);
    await ada.http.post('/v1/auth/logout');
    expect((await there.closed).code).toBe(4003);
    expect(
      await app.sql(
        `SELECT 1 FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'atrium bus'`,
      ),
    ).toEqual([]);
  });

  it('that is killed, events still arrive by the sweep, and by the bus when it is back', async () => {
    await redis.kill();
    await writeAndHear(3);
    expect(await readiness()).toBe(200);
    await redis.start();
    await untilOnBus(app, elsewhere);
    withoutLooking();
    await writeAndHear(3);
  });

  it('that hangs, too', async () => {
    redis.pause();
    await writeAndHear(3);
    expect(await readiness()).toBe(200);
    await ada.http.post('/v1/auth/logout');
    expect((await there.closed).code).toBe(4003);
    redis.resume();
    ada = await registerUser(app);
    room = `workspaces/${ada.workspaceId}`;
    there = await connectAndJoin(elsewhere, ada.token, room);
    await until('told again', async () => {
      await untilOnBus(app, elsewhere);
      return true;
    });
    withoutLooking();
    await writeAndHear(3);
  });
});
