import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { LeaseExpiry } from '../../src/leases/lease-expiry.js';
import { type RunningAgent, startAgent } from '../support/agents.js';
import { type Instance, type TestApp, testVariables } from '../support/app.js';
import { claim, lease, type LeaseAnswer } from '../support/leases.js';
import { compiledPath, root } from '../support/native/paths.mjs';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { spawnAtrium } from '../support/process.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connect, type ConnectOptions, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';

interface Lost {
  readonly id: string;
  readonly itemId: string;
  readonly reason: string;
}

let app: TestApp;
let other: Instance;
let owner: Person;
let [ada, bob]: RunningAgent[] = [];
beforeAll(async () => {
  app = await sharedAtrium();
  other = await sharedSecondInstance();
  owner = await registerUser(app);
  ada = await startAgent(app, owner, ['leases', 'items:write']);
  bob = await startAgent(app, owner, ['leases']);
});
afterEach(closeSockets);
afterAll(() => app.stop());

/** A socket that is handed work. */
async function working(
  { token }: RunningAgent,
  wish: Readonly<Record<string, unknown>>,
  at: { readonly url: string } = app,
  options: ConnectOptions = {},
): Promise<SocketClient> {
  const socket = await connect(at, { token, ...options });
  const { event, data } = await socket.send('lease', wish);
  expect([event, data]).toEqual(['leasing', { capacity: wish['capacity'] }]);
  return socket;
}
const given = ({ frames }: SocketClient): LeaseAnswer[] =>
  frames.filter(({ event }) => event === 'leased').flatMap(({ data }) => data['leases'] as LeaseAnswer[]);
const lost = ({ frames }: SocketClient): Lost[] =>
  frames.filter(({ event }) => event === 'lost').flatMap(({ data }) => data['leases'] as Lost[]);
const givenSoFar = (socket: SocketClient, count: number) =>
  socket.waitFor(`${count} leases`, () => given(socket).length >= count && given(socket));
const lostSoFar = (socket: SocketClient, count: number) =>
  socket.waitFor(`${count} that are lost`, () => lost(socket).length >= count && lost(socket));
const newItem = (type: string): Promise<ItemAnswer> => createItem(owner, { type });
const newItems = (type: string, count: number) =>
  owner.http.post('/v1/items/batch', {
    operations: Array.from({ length: count }, () => ({ op: 'create', item: { title: 't', type, data: {} } })),
  });
const leasedOf = (type: string) =>
  app.sql<{ id: string; delivered: boolean; left: number }>(
    `SELECT lease_id AS id, delivered, extract(epoch FROM due_at - now())::float8 AS left FROM lease_states
     WHERE type = $1 AND state = 'leased' AND due_at > now()`,
    [type],
  );
const expire = ({ id }: { id: string }) =>
  app.sql(`UPDATE lease_states SET due_at = now() - interval '1 ms' WHERE lease_id = $1`, [id]);

describe('A socket that wants work', () => {
  it('is handed what is there and what comes, each as a claim gives it, never more than it has free', async () => {
    await newItems('pushed', 3);
    const socket = await working(ada, { types: ['pushed'], capacity: 2, ttlSeconds: 30 });
    const [one, two] = await givenSoFar(socket, 2);
    await socket.barrier();
    expect(given(socket)).toHaveLength(2);
    expect(one).toMatchObject({ fence: 1, attempt: 1, item: { type: 'pushed', version: 1 } });
    expect(Date.parse(one.expiresAt)).toBeGreaterThan(Date.now());
    const done = await lease(ada, one, 'complete', { patch: { data: { done: true } } });
    expect(done.body).toMatchObject({ state: 'done', item: { version: 2, updatedBy: ada.agent.id } });
    const three = (await givenSoFar(socket, 3))[2];
    await lease(ada, two, 'fail', { reason: 'no', retry: false });
    await lease(ada, three, 'complete');
    const item = await newItem('pushed');
    expect((await givenSoFar(socket, 4))[3].item.id).toBe(item.id);
    const told = await app.sql<{ type: string; principal_id: string }>(
      `SELECT type, principal_id FROM events WHERE subject = $1 AND type LIKE 'lease.%'`,
      [`items/${item.id}`],
    );
    expect(told).toEqual([{ type: 'lease.claimed', principal_id: ada.agent.id }]);
    expect(await leasedOf('pushed')).toHaveLength(1);
  });

  it('shares with others at every instance: each item once, all of them, as much as each can hold', async () => {
    const sockets = [
      await working(ada, { types: ['spread'], capacity: 3 }),
      await working(ada, { types: ['spread'], capacity: 3 }, other),
      await working(bob, { types: ['spread'], capacity: 4 }, other),
    ];
    await newItems('spread', 15);
    await until('all hold as much as they can', () => sockets.flatMap(given).length === 10);
    for (const socket of sockets) await socket.barrier();
    expect(sockets.map((socket) => given(socket).length)).toEqual([3, 3, 4]);
    const end = async (agent: RunningAgent, socket: SocketClient, ended: Set<string>) => {
      for (const held of given(socket))
        if (!ended.has(held.id)) {
          ended.add(held.id);
          expect((await lease(agent, held, 'complete')).status).toBe(200);
        }
    };
    const ended = new Set<string>();
    await until('all is done', async () => {
      for (const [n, socket] of sockets.entries()) await end(n < 2 ? ada : bob, socket, ended);
      return ended.size === 15;
    });
    expect(new Set(sockets.flatMap(given).map(({ item }) => item.id)).size).toBe(15);
  });

  it('keeps to the limit of a type, the filter, and the scopes that a claim has', async () => {
    await owner.http.call('PUT', '/v1/leases/types', { json: { type: 'narrow', concurrency: 1 } });
    const urgent = await createItem(owner, { type: 'narrow', data: { lease: { priority: 7 } } });
    await newItems('narrow', 2);
    const picky = await working(ada, { types: ['narrow'], capacity: 9, filter: { priority: { gte: 5 } } });
    const [first] = await givenSoFar(picky, 1);
    expect(first.item.id).toBe(urgent.id);
    const socket = await working(bob, { types: ['narrow'], capacity: 9 });
    await socket.barrier();
    expect(await leasedOf('narrow')).toHaveLength(1);
    await lease(ada, first, 'complete');
    await givenSoFar(socket, 1);
    expect(await leasedOf('narrow')).toHaveLength(1);
    const without = await startAgent(app, owner, ['items:write']);
    const refused = await (await connect(app, { token: without.token })).send('lease', { capacity: 1 });
    expect(refused.data['code']).toBe('insufficient_scope');
    const person = await (await connect(app, { token: owner.token })).send('lease', { capacity: 1 });
    expect(person.data['code']).toBe('forbidden');
    for (const wrong of [{}, { capacity: -1 }, { capacity: 1, types: [] }, { capacity: 1, filter: { x: 1 } }])
      expect((await socket.send('lease', wrong)).data['code']).toBe('validation_failed');
  });

  it('is given items of every type, also of one that nobody has heard of, when it names none', async () => {
    const someone = await registerUser(app);
    const any = await startAgent(app, someone, ['leases']);
    const socket = await connect(app, { token: any.token });
    expect((await socket.send('lease', { capacity: 2 })).event).toBe('leasing');
    const items = [await createItem(someone, { type: 'new' }), await createItem(someone, { type: 'newer' })];
    expect((await givenSoFar(socket, 2)).map(({ item }) => item.id)).toEqual(items.map(({ id }) => id));
  });

  it('wants something else from then on, or nothing more, when it says so', async () => {
    const socket = await working(ada, { types: ['before'], capacity: 1 });
    await socket.send('lease', { types: ['after'], capacity: 2 });
    await newItem('before');
    const { id } = await newItem('after');
    expect((await givenSoFar(socket, 1))[0].item.id).toBe(id);
    await socket.send('lease', { types: ['after'], capacity: 0 });
    await newItem('after');
    const [next] = await claim(bob, 'after', { waitSeconds: 30 });
    expect(next.item.type).toBe('after');
    expect(given(socket)).toHaveLength(1);
  });
});

describe('A lease on its way to a socket', () => {
  it('that never arrives is given back when the socket ends, as if it had not been tried', async () => {
    const deaf = await working(ada, { types: ['undelivered'], capacity: 1 }, app, { autoPong: false });
    await newItem('undelivered');
    const [held] = await givenSoFar(deaf, 1); // the frame came; that it did, nobody has said
    expect(await leasedOf('undelivered')).toMatchObject([{ id: held.id, delivered: false }]);
    const waiting = claim(bob, 'undelivered', { waitSeconds: 30 });
    await deaf.vanish();
    expect(await waiting).toMatchObject([{ attempt: 1, item: { id: held.item.id } }]);
    expect((await lease(ada, held, 'complete')).body.code).toBe('lease_lost');
  });

  it('whose instance is killed is not lost: it expires, is claimed again once, and completed once', async () => {
    const variables = { ...testVariables(app.databaseUrl), NODE_ENV: 'development', HOST: '127.0.0.1' };
    const doomed = await spawnAtrium(variables, compiledPath(join(root, 'src/main.ts')));
    try {
      const url = await doomed.url();
      const deaf = await working(ada, { types: ['orphaned'], capacity: 1 }, { url }, { autoPong: false });
      const item = await newItem('orphaned');
      const [held] = await givenSoFar(deaf, 1);
      await doomed.kill();
      expect(await leasedOf('orphaned')).toMatchObject([{ id: held.id, delivered: false }]);

      // The agent is there, at another instance; what it was sent is nothing that it has told of.
      const beat = await ada.http.post<{ leases: Lost[] }>(`/v1/agents/${ada.agent.id}/heartbeat`, {});
      expect(beat.body.leases.map(({ id }) => id)).not.toContain(held.id);
      const sockets = [
        await working(bob, { types: ['orphaned'], capacity: 1 }),
        await working(bob, { types: ['orphaned'], capacity: 1 }, other),
      ];
      const waiting = [
        claim(bob, 'orphaned', { waitSeconds: 1 }),
        claim(ada, 'orphaned', { waitSeconds: 1 }),
      ];
      for (const socket of sockets) await socket.barrier();
      expect(sockets.flatMap(given)).toEqual([]); // it is still the other one's

      await expire(held);
      await app.nest.get(LeaseExpiry).run();
      const claimed = await Promise.all(waiting);
      const again = await until('it is claimed again', () => {
        const all = [...claimed.flat(), ...sockets.flatMap(given)];
        return all.length > 0 && all;
      });
      expect(again).toMatchObject([{ fence: 1, attempt: 2, item: { id: item.id } }]);
      expect((await lease(ada, held, 'complete')).body.code).toBe('lease_lost');
      const holder = claimed[1].length > 0 ? ada : bob;
      expect((await lease(holder, again[0], 'complete')).status).toBe(200);
      expect((await lease(holder, again[0], 'complete')).body.code).toBe('lease_lost');
      for (const socket of sockets) await socket.barrier();
      expect(sockets.flatMap(given).length + claimed.flat().length).toBe(1);
      const told = await app.sql<{ type: string }>(
        `SELECT type FROM events WHERE subject = $1 AND type LIKE 'lease.%' ORDER BY seq`,
        [`items/${item.id}`],
      );
      expect(told.map(({ type }) => type)).toEqual([
        'lease.claimed',
        'lease.expired',
        'lease.claimed',
        'lease.completed',
      ]);
    } finally {
      await doomed.kill();
    }
  });

  it('is extended by heartbeats only when they name it, until it has arrived', async () => {
    const deaf = await working(ada, { types: ['unknown'], capacity: 1 }, app, { autoPong: false });
    await newItem('unknown');
    const [held] = await givenSoFar(deaf, 1);
    const all = await deaf.send<{ leases: Lost[] }>('heartbeat', { ttlSeconds: 600 });
    expect(all.data.leases.map(({ id }) => id)).not.toContain(held.id);
    const named = await deaf.send<{ leases: Lost[] }>('heartbeat', { leases: [held.id], ttlSeconds: 600 });
    expect(named.data.leases.map(({ id }) => id)).toEqual([held.id]);
    await lease(ada, held, 'complete');
  });

  it('stays with the agent once it has arrived, also when the socket breaks', async () => {
    const socket = await working(ada, { types: ['arrived'], capacity: 1 });
    await newItem('arrived');
    const [held] = await givenSoFar(socket, 1);
    await until('it has arrived', async () => (await leasedOf('arrived'))[0]?.delivered);
    await socket.vanish();
    const again = await working(ada, { types: ['arrived'], capacity: 1 }, other);
    const beat = await again.send<{ leases: Lost[] }>('heartbeat');
    expect(beat.data.leases.map(({ id }) => id)).toContain(held.id);
    expect((await lease(ada, held, 'complete')).status).toBe(200);
  });
});

describe('An agent that loses a lease', () => {
  it('is told over its socket at once, why, and handed the next', async () => {
    const socket = await working(ada, { types: ['taken'], capacity: 1 }, other);
    await newItems('taken', 4);
    const [one] = await givenSoFar(socket, 1);
    await lease(owner, one, 'cancel', { reason: 'not needed' });
    expect(await lostSoFar(socket, 1)).toEqual([{ id: one.id, itemId: one.item.id, reason: 'not needed' }]);
    const two = (await givenSoFar(socket, 2))[1];
    await owner.http.delete(`/v1/items/${two.item.id}`);
    expect((await lostSoFar(socket, 2))[1]).toEqual({ id: two.id, itemId: two.item.id, reason: 'deleted' });
    const three = (await givenSoFar(socket, 3))[2];
    await expire(three);
    await app.nest.get(LeaseExpiry).run();
    expect((await lostSoFar(socket, 3))[2]).toEqual({
      id: three.id,
      itemId: three.item.id,
      reason: 'expired',
    });
    await givenSoFar(socket, 4);
    const beat = await socket.send<{ lost: string[] }>('heartbeat', { leases: [one.id, two.id] });
    expect(beat.data.lost).toEqual([one.id, two.id]);
  });

  it('is told at once also when the item becomes one of a type that nobody works on', async () => {
    const socket = await working(ada, { types: ['early', 'late'], capacity: 2 });
    await newItem('early');
    const [held] = await givenSoFar(socket, 1);
    const become = (type: string) => owner.http.patch(`/v1/items/${held.item.id}`, { type });
    expect((await become('late')).status).toBe(200);
    await socket.barrier();
    expect((await lease(ada, held, 'extend')).status).toBe(200);
    expect((await become('none of theirs')).status).toBe(200);
    expect(await lostSoFar(socket, 1)).toEqual([{ id: held.id, itemId: held.item.id, reason: 'ended' }]);
    expect((await lease(ada, held, 'extend')).body.code).toBe('lease_lost');
  });

  it('is told also when it wants nothing more', async () => {
    const socket = await working(ada, { types: ['last'], capacity: 1 });
    await newItem('last');
    const [held] = await givenSoFar(socket, 1);
    await socket.send('lease', { types: ['last'], capacity: 0 });
    await lease(owner, held, 'cancel');
    expect(await lostSoFar(socket, 1)).toMatchObject([{ id: held.id }]);
  });
});
