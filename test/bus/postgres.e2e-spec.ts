import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Bus } from '../../src/bus/bus.js';
import { SessionRevocations } from '../../src/sessions/session-revocations.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { untilOnBus } from '../support/bus.js';
import { http } from '../support/http.js';
import { type Person, registerUser } from '../support/people.js';
import { closeSockets, connect } from '../support/sockets.js';
import { until } from '../support/until.js';

let app: TestApp;
let elsewhere: Instance;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium();
  elsewhere = await app.startSecondInstance();
});
beforeEach(async () => {
  ada = await registerUser(app);
  await untilOnBus(app, elsewhere);
});
afterEach(closeSockets);
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

/** No instance looks for itself: what arrives was told. */
const withoutLooking = () => {
  for (const { nest } of [app, elsewhere])
    jest
      .spyOn(nest.get<SessionRevocations, { poll(): Promise<void> }>(SessionRevocations), 'poll')
      .mockResolvedValue();
};
const statusElsewhere = async () => (await http(elsewhere, ada.token).get('/v1/me')).status;

/** The connections on which the instances listen. */
const backends = () =>
  app.sql<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'atrium bus'`,
  );

const notify = (payload: string) => app.sql('SELECT pg_notify($1, $2)', ['atrium', payload]);

describe('A session that ends at one instance', () => {
  it('is refused by the other, and its sockets there close, without a look at the database by itself', async () => {
    const socket = await connect(elsewhere, { token: ada.token });
    withoutLooking();
    expect(await statusElsewhere()).toBe(200);
    expect((await ada.http.post('/v1/auth/logout')).status).toBe(204);
    await until('refused elsewhere', async () => (await statusElsewhere()) === 401);
    expect((await socket.closed).code).toBe(4003);
  });

  it('goes on if only somebody on the bus says that it has ended', async () => {
    withoutLooking();
    const revocations = elsewhere.nest.get(SessionRevocations);
    const learned: string[] = [];
    revocations.onRevoked((id) => learned.push(id));
    const [session] = await app.sql<{ id: string }>('SELECT id FROM sessions WHERE user_id = $1', [
      ada.user.id,
    ]);
    const other = await registerUser(app);
    const entries = [session?.id ?? '', randomUUID(), 'not an id', ''].map((id) => [id, '']);
    await notify(`0/1:${JSON.stringify([randomUUID(), [['sessions', entries]]])}`);
    // What is told after it is heard after it.
    await other.http.post('/v1/auth/logout');
    await until('the other has ended', () => learned.length > 0);
    expect(learned).toHaveLength(1);
    expect(await statusElsewhere()).toBe(200);
  });
});

describe('The bus over PostgreSQL', () => {
  it('opens one connection per instance', async () => {
    expect(await backends()).toHaveLength(2);
  });

  it('takes what is no message for what it is', async () => {
    const heard = jest.fn();
    elsewhere.nest.get(Bus).subscribe('test', { told: heard, missed: heard });
    for (const payload of ['', 'x', '0/1:', '0/2:[', '5/6:x', '1/9999:x', '0/1:["a",[["test",[[1,2]]]]]'])
      await notify(payload);
    await notify('0/1:["a",[["test",[["k","v"]]]]]');
    await until('the good one', () => heard.mock.calls.length > 0);
    expect(heard.mock.calls).toEqual([[new Map([['k', 'v']])]]);
  });

  it('carries more than a notification does, in any script', async () => {
    const heard: string[] = [];
    elsewhere.nest.get(Bus).subscribe('large', {
      told: (entries) => heard.push(...entries.values()),
      missed: () => undefined,
    });
    const values = ['x', 'ж', '💡'].map((character) => character.repeat(40_000));
    for (const [n, value] of values.entries()) app.nest.get(Bus).publish('large', `${n}`, value);
    await until('all of them', () => heard.length === values.length);
    expect(heard).toEqual(values);
  });

  it('whose connection is lost costs no more than a look, fails no probe, and comes back', async () => {
    const lost = await backends();
    await app.sql('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [
      lost.map(({ pid }) => pid),
    ]);
    expect((await http(app).get('/health/ready')).status).toBe(200);
    await ada.http.post('/v1/auth/logout');
    await until('refused elsewhere', async () => (await statusElsewhere()) === 401);
    await until('other connections', async () => {
      const now = await backends();
      return now.length === 2 && now.every(({ pid }) => !lost.some((before) => before.pid === pid));
    });
    await untilOnBus(app, elsewhere);
    ada = await registerUser(app);
    withoutLooking();
    await ada.http.post('/v1/auth/logout');
    await until('refused elsewhere again', async () => (await statusElsewhere()) === 401);
  });

  it('is left behind by nobody who stops', async () => {
    const third = await app.startSecondInstance();
    await untilOnBus(app, elsewhere, third);
    await third.stop();
    await until('two connections', async () => (await backends()).length === 2);
  });

  it('listens past a pooler when it is told where, and works without when that is wrong', async () => {
    const url = new URL(app.databaseUrl);
    url.searchParams.set('application_name', 'direct');
    const direct = await app.startSecondInstance({ DATABASE_DIRECT_URL: url.href });
    await untilOnBus(app, elsewhere, direct);
    await direct.stop();
    url.port = '1';
    const deaf = await app.startSecondInstance({ DATABASE_DIRECT_URL: url.href });
    expect((await http(deaf).get('/health/ready')).status).toBe(200);
    expect(deaf.nest.get(Bus).isUp).toBe(false);
    await ada.http.post('/v1/auth/logout');
    await until('refused there', async () => (await http(deaf, ada.token).get('/v1/me')).status === 401);
    await deaf.stop();
  });
});
