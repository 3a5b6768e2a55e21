import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { StreamTail } from '../../src/events/stream-tail.js';
import { type RunningAgent, startAgent } from '../support/agents.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { claim, lease, type LeaseAnswer } from '../support/leases.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect } from '../support/sockets.js';
import { until } from '../support/until.js';

let app: TestApp;
let other: Instance;
let owner: Person;
let [ada, bob]: RunningAgent[] = [];
beforeAll(async () => {
  app = await startAtrium({ LEASE_LIMIT: '20' });
  other = await app.startSecondInstance();
  owner = await registerUser(app);
  ada = await startAgent(app, owner, ['leases', 'items:write', 'items:read']);
  bob = await startAgent(app, owner, ['leases']);
});
afterEach(closeSockets);
afterAll(() => app.stop());

const ids = (leases: readonly LeaseAnswer[]) => leases.map(({ item }) => item.id);
const newItem = (type: string, wish?: unknown): Promise<ItemAnswer> =>
  createItem(owner, { type, data: wish === undefined ? {} : { lease: wish } });
const elsewhere = ({ token }: RunningAgent) => ({ http: http(other, token) });
const events = async (item: { id: string }) =>
  (
    await app.sql<{ type: string }>(`SELECT type FROM events WHERE subject = $1 ORDER BY seq`, [
      `items/${item.id}`,
    ])
  ).map(({ type }) => type);

/** What a claim is given well before its own time is over. */
async function soon(waiting: Promise<readonly LeaseAnswer[]>): Promise<readonly LeaseAnswer[]> {
  let given: readonly LeaseAnswer[] | undefined;
  void waiting.then((leases) => (given = leases));
  return until('it is given something', () => given, 15_000);
}

describe('A claim', () => {
  it('gives an item to one agent, with its version as the fence, and tells the stream', async () => {
    const item = await newItem('plain');
    const [held] = await claim(ada, 'plain');
    expect(held).toMatchObject({ fence: 1, attempt: 1, item });
    expect(await claim(bob, 'plain')).toEqual([]);
    expect(await claim(elsewhere(bob), 'plain')).toEqual([]);
    expect(await events(item)).toEqual(['item.created', 'lease.claimed']);
  });

  it('finds what was there before any agent worked on the type, and what came after, by every way', async () => {
    const before = await newItem('late');
    expect(ids(await claim(ada, 'late', { limit: 9 }))).toEqual([before.id]);
    const made = await owner.http.post<{ results: { id: string }[] }>('/v1/items/batch', {
      operations: [{ op: 'create', item: { title: 't', type: 'late', data: {} } }],
    });
    const turned = await newItem('something else');
    await owner.http.patch(`/v1/items/${turned.id}`, { type: 'late' });
    const gone = await newItem('late');
    await owner.http.delete(`/v1/items/${gone.id}`);
    expect(ids(await claim(ada, 'late', { limit: 9 }))).toEqual([made.body.results[0].id, turned.id]);
    await owner.http.post(`/v1/items/${gone.id}/restore`);
    expect(ids(await claim(ada, 'late', { limit: 9 }))).toEqual([gone.id]);
  });

  it('loses no item that is created while its type becomes one that agents work on', async () => {
    const rounds = await Promise.all(
      [1, 2, 3, 4].map(async (n) => {
        const type = `race ${n}`;
        const [items] = await Promise.all([
          Promise.all(Array.from({ length: 4 }, () => newItem(type))),
          claim(elsewhere(bob), type, { filter: { labels: { none: 'such' } } }),
        ]);
        const found = await app.sql(`SELECT item_id FROM lease_states WHERE type = $1`, [type]);
        return [items.length, found.length];
      }),
    );
    expect(rounds).toEqual(rounds.map(() => [4, 4]));
  });

  it('takes the most urgent first, what matches the labels, and nothing before its time', async () => {
    const [low, high, middle] = [
      await newItem('wish', { priority: -1 }),
      await newItem('wish', { priority: 9, labels: { region: 'eu', zone: 'a' } }),
      await newItem('wish', { priority: 'nonsense', labels: 3, notBefore: 'tomorrow' }),
    ];
    const later = await newItem('wish', { priority: 99, notBefore: '2999-01-01T00:00:00Z' });
    expect(await claim(ada, 'wish', { filter: { labels: { region: 'us' } } })).toEqual([]);
    expect(ids(await claim(ada, 'wish', { filter: { labels: { region: 'eu' } } }))).toEqual([high.id]);
    expect(ids(await claim(ada, 'wish', { limit: 9 }))).toEqual([middle.id, low.id]);
    await owner.http.patch(`/v1/items/${later.id}`, { data: { lease: { notBefore: null } } });
    expect(ids(await claim(ada, 'wish'))).toEqual([later.id]);
  });

  it('takes only what the filter lets through: by priority, and by the time since when it is due', async () => {
    const [low, high] = [
      await newItem('filtered', { priority: 1 }),
      await newItem('filtered', { priority: 5 }),
    ];
    const yesterday = new Date(Date.now() - 86_400_000).toISOString();
    const none = [{ priority: { gte: 6 } }, { priority: { lte: 0 } }, { notBefore: { lte: yesterday } }];
    for (const filter of none) expect(await claim(ada, 'filtered', { filter, limit: 9 })).toEqual([]);
    const urgent = { priority: { gte: 5 }, notBefore: { gte: yesterday } };
    expect(ids(await claim(ada, 'filtered', { filter: urgent, limit: 9 }))).toEqual([high.id]);
    expect(ids(await claim(ada, 'filtered', { filter: { priority: { gte: 1, lte: 1 } } }))).toEqual([low.id]);
    const refused = [
      { priority: 5 },
      { priority: { gt: 5 } },
      { notBefore: { lte: 'yesterday' } },
      { notBefore: { lte: '0000-01-01T00:00:00Z' } },
      { notBefore: { lte: '2026-02-30T00:00:00Z' } },
      { title: 'x' },
    ].map((filter) => ada.http.post('/v1/leases', { types: ['filtered'], filter }));
    expect((await Promise.all(refused)).map(({ status }) => status)).toEqual(refused.map(() => 400));
  });

  it('that names no types takes items of every type that there is, or of those that its scopes are for', async () => {
    const someone = await registerUser(app);
    const [any, tasks] = [
      await startAgent(app, someone, ['leases']),
      await startAgent(app, someone, ['leases', 'items:write:type=task', 'items:write:type=bug']),
    ];
    const claimAny = async ({ http: caller }: Pick<RunningAgent, 'http'>) =>
      (await caller.post<{ data: LeaseAnswer[] }>('/v1/leases', { limit: 9 })).body.data.map(
        ({ item }) => item.type,
      );
    const lone = await createItem(someone, { type: 'lone' });
    const alone = await any.http.post<{ data: LeaseAnswer[] }>('/v1/leases', { limit: 1 });
    expect(ids(alone.body.data)).toEqual([lone.id]); // nobody has ever named a type here
    for (const type of ['task', 'note', 'bug', 'idle']) await createItem(someone, { type });
    expect(await claimAny(tasks)).toEqual(['task', 'bug']);
    expect(await claimAny(elsewhere(any))).toEqual(['note', 'idle']);
    expect(await claimAny(any)).toEqual([]);
    const waiting = any.http.post<{ data: LeaseAnswer[] }>('/v1/leases', { waitSeconds: 30 });
    const { id } = await createItem(someone, { type: 'unheard-of' });
    expect(ids((await waiting).body.data)).toEqual([id]);
  });

  it('that names no types is refused where there are more than agents may work on', async () => {
    const someone = await registerUser(app);
    const any = await startAgent(app, someone, ['leases']);
    await app.sql(
      `INSERT INTO lease_types (workspace_id, type) SELECT $1, 'type ' || n FROM generate_series(1, 1000) n`,
      [someone.workspaceId],
    );
    expect((await any.http.post('/v1/leases', {})).status).toBe(200);
    await createItem(someone, { type: 'one more' });
    const { status, body } = await any.http.post('/v1/leases', {});
    expect([status, body.code]).toEqual([409, 'too_many_lease_types']);
    await createItem(someone, { type: 'type 7' });
    const named = await any.http.post<{ data: LeaseAnswer[] }>('/v1/leases', { types: ['type 7'] });
    expect(named.body.data).toHaveLength(1);
  });

  it('under a key that is sent twice is answered with the same leases', async () => {
    for (let n = 0; n < 2; n++) await newItem('keyed');
    const options = { headers: { 'Idempotency-Key': '"the same claim"' } };
    const first = await claim(ada, 'keyed', {}, options);
    expect(await claim(elsewhere(ada), 'keyed', {}, options)).toEqual(first);
    expect(await claim(ada, 'keyed', { limit: 9 })).toHaveLength(1);
  });

  it('shares among many at the same moment, at two instances: each item once', async () => {
    const operations = Array.from({ length: 30 }, () => ({
      op: 'create',
      item: { title: 't', type: 'shared', data: {} },
    }));
    await owner.http.post('/v1/items/batch', { operations });
    const agents = await Promise.all(Array.from({ length: 10 }, () => startAgent(app, owner, ['leases'])));
    const found = await Promise.all(
      agents.flatMap((agent) => [claim(agent, 'shared', { limit: 2 }), claim(elsewhere(agent), 'shared')]),
    );
    const claimed = found.flatMap(ids);
    expect(new Set(claimed).size).toBe(claimed.length);
    const rest = await Promise.all(agents.map((agent) => claim(agent, 'shared', { limit: 30 })));
    expect(new Set([...claimed, ...rest.flatMap(ids)]).size).toBe(30);
  });

  it('is not held up by a workspace that has more claims and more work', async () => {
    const crowded = await registerUser(app);
    const crowd = await startAgent(app, crowded, ['leases']);
    await crowded.http.post('/v1/items/batch', {
      operations: Array.from({ length: 50 }, () => ({
        op: 'create',
        item: { title: 't', type: 'fair', data: {} },
      })),
    });
    const mine = await newItem('fair');
    const flood = Array.from({ length: 40 }, () => claim(crowd, 'fair'));
    expect(ids(await claim(bob, 'fair', { limit: 9 }))).toEqual([mine.id]);
    expect(new Set((await Promise.all(flood)).flatMap(ids)).size).toBe(20); // as many as an agent may hold
  });

  it('is for agents with the scope, within their own workspace', async () => {
    const stranger = await registerUser(app);
    const theirs = await startAgent(app, stranger, ['leases']);
    await newItem('mine');
    expect(await claim(theirs, 'mine')).toEqual([]);
    const [held] = await claim(ada, 'mine');
    expect((await owner.http.post('/v1/leases', { types: ['mine'] })).status).toBe(403);
    for (const thief of [bob, theirs]) {
      const { status, body } = await lease(thief, held, 'complete');
      expect([status, body.code]).toEqual([409, 'lease_lost']);
    }
    expect((await lease(stranger, held, 'cancel')).status).toBe(404);
  });

  it('holds no more than an agent may, and no more of a type than it allows, at two instances', async () => {
    const carol = await startAgent(app, owner, ['leases']);
    const operations = Array.from({ length: 40 }, (_, n) => ({
      op: 'create',
      item: { title: 't', type: n < 25 ? 'many' : 'few', data: {} },
    }));
    await owner.http.post('/v1/items/batch', { operations });
    expect(await claim(carol, 'many', { limit: 50 })).toHaveLength(20);
    expect(await claim(carol, 'many')).toEqual([]);
    const limits = { type: 'few', concurrency: 3 };
    expect((await owner.http.call('PUT', '/v1/leases/types', { json: limits })).status).toBe(200);
    const dan = await startAgent(app, owner, ['leases']);
    const found = await Promise.all(
      [dan, elsewhere(dan), bob, elsewhere(bob)].map((agent) => claim(agent, 'few', { limit: 2 })),
    );
    expect(found.flat()).toHaveLength(3);
    const [first] = found.flat();
    const holder = (await lease(dan, first, 'complete')).status === 200 ? dan : bob;
    if (holder === bob) expect((await lease(bob, first, 'complete')).status).toBe(200);
    expect(await claim(dan, 'few', { limit: 2 })).toHaveLength(1);
  });
});

describe('A claim that waits', () => {
  it('gets a new item at once, whichever instance it was made at', async () => {
    const waiting = claim(elsewhere(ada), 'awaited', { waitSeconds: 30 });
    await until('somebody waits', async () => {
      const found = await app.sql(`SELECT FROM lease_types WHERE type = 'awaited'`);
      return found.length > 0;
    });
    const item = await newItem('awaited');
    expect(ids(await waiting)).toEqual([item.id]);
  });

  it('gets what is given back, and what comes due by the clock', async () => {
    await newItem('returned');
    const [held] = await claim(ada, 'returned');
    const waiting = claim(bob, 'returned', { waitSeconds: 30 });
    expect((await lease(ada, held, 'release')).body).toMatchObject({ state: 'ready', attempt: 0 });
    const [again] = await waiting;
    expect(again).toMatchObject({ attempt: 1, item: { id: held.item.id } });
    const soon = claim(ada, 'returned', { waitSeconds: 30 });
    await newItem('returned', { notBefore: new Date(Date.now() + 700).toISOString() });
    expect(await soon).toHaveLength(1);
  });

  it('gets what another one, which wants something else of a type with a limit, has left', async () => {
    await owner.http.call('PUT', '/v1/leases/types', { json: { type: 'narrow', concurrency: 1 } });
    const picky = claim(ada, 'narrow', { waitSeconds: 30, filter: { priority: { gte: 5 } } });
    const plain = claim(bob, 'narrow', { waitSeconds: 30 });
    // Both are woken by it, and ask at the same moment.
    const item = await newItem('narrow');
    const [held] = await Promise.race([picky, plain]);
    expect(held.item.id).toBe(item.id);
    await lease(bob, held, 'complete');
    const urgent = await newItem('narrow', { priority: 9 });
    expect(ids(await picky)).toEqual([urgent.id]);
  });

  it('goes on as soon as its agent holds less than it may, of whatever type that was', async () => {
    const carol = await startAgent(app, owner, ['leases']);
    await Promise.all(Array.from({ length: 20 }, () => newItem('full')));
    const held = await claim(carol, 'full', { limit: 20, ttlSeconds: 3_600 });
    expect(held).toHaveLength(20);
    const items = await Promise.all([newItem('next'), newItem('next'), newItem('next')]);
    const given: string[] = [];
    for (const end of [
      () => lease(carol, held[0], 'complete'),
      () => owner.http.delete(`/v1/items/${held[1].item.id}`),
    ]) {
      const waiting = claim(elsewhere(carol), 'next', { waitSeconds: 30 });
      await until('it waits', () => other.nest.get(StreamTail, { strict: false }).followedCount > 0);
      await end();
      given.push(...ids(await soon(waiting)));
    }
    await app.sql(`UPDATE lease_states SET due_at = now() + interval '0.5 s' WHERE lease_id = $1`, [
      held[2].id,
    ]);
    given.push(...ids(await soon(claim(carol, 'next', { waitSeconds: 30 }))));
    expect(given.sort()).toEqual(items.map(({ id }) => id).sort());
  });

  it('over a socket goes on as well, whoever ended what, and over which way it came', async () => {
    const dan = await startAgent(app, owner, ['leases']);
    await Promise.all(Array.from({ length: 20 }, () => newItem('brim')));
    const held = await claim(dan, 'brim', { limit: 20, ttlSeconds: 3_600 });
    await Promise.all([newItem('pushed'), newItem('pushed')]);
    const socket = await connect(other, { token: dan.token });
    await socket.send('lease', { types: ['pushed'], capacity: 5 });
    const given = () => socket.frames.filter(({ event }) => event === 'leased').length;
    // The same claim, by the same waiting.
    expect(await claim(elsewhere(dan), 'pushed', { waitSeconds: 1 })).toEqual([]);
    await lease(dan, held[0], 'complete');
    await until('the first is handed over', () => given() === 1, 15_000);
    await owner.http.delete(`/v1/items/${held[1].item.id}`);
    await until('so is the second', () => given() === 2, 15_000);
  });

  it('goes on as soon as another item of a type with a limit is deleted while it is held, or the limit is raised', async () => {
    const limit = (concurrency: number) =>
      owner.http.call('PUT', '/v1/leases/types', { json: { type: 'scarce', concurrency } });
    await limit(1);
    const items = await Promise.all([newItem('scarce'), newItem('scarce'), newItem('scarce')]);
    const [held] = await claim(ada, 'scarce', { ttlSeconds: 3_600 });
    const given = [held.item.id];
    for (const end of [() => owner.http.delete(`/v1/items/${held.item.id}`), () => limit(2)]) {
      const waiting = claim(elsewhere(bob), 'scarce', { waitSeconds: 30, ttlSeconds: 3_600 });
      await until('it waits', () => other.nest.get(StreamTail, { strict: false }).followedCount > 0);
      await end();
      given.push(...ids(await soon(waiting)));
    }
    expect(given.sort()).toEqual(items.map(({ id }) => id).sort());
  });

  it('gets nothing more, and is told at once, when its session ends while it waits, at any instance', async () => {
    const { agent, http: itself, token } = await startAgent(app, owner, ['leases']);
    const waiting = [itself, http(other, token)].map((at) =>
      at.post('/v1/leases', { types: ['revoked'], waitSeconds: 30 }),
    );
    const isWaitedAt = ({ nest }: Instance) => nest.get(StreamTail, { strict: false }).followedCount > 0;
    await until('both wait', () => isWaitedAt(app) && isWaitedAt(other));
    await owner.http.post(`/v1/agents/${agent.id}/disable`);
    for (const { status, body } of await Promise.all(waiting))
      expect([status, body.code]).toEqual([401, 'session_revoked']);
    await owner.http.post(`/v1/agents/${agent.id}/enable`);
  });

  it('ends empty when its time is over', async () => {
    expect(await claim(ada, 'nothing', { waitSeconds: 1 })).toEqual([]);
  });
});

describe('A lease that somebody cancels', () => {
  it('is lost to its agent, which hears it in its own room', async () => {
    await newItem('unwanted');
    const [held] = await claim(bob, 'unwanted');
    const socket = await connect(app, { token: bob.token });
    await socket.join(`agents/${bob.agent.id}`);
    const { status, body } = await lease(owner, held, 'cancel', { reason: 'not needed' });
    expect([status, body.state, body.reason]).toEqual([200, 'dead', 'not needed']);
    const [told] = await socket.received(`agents/${bob.agent.id}`, 1);
    expect(told.event).toMatchObject({
      type: 'agent.lease_cancelled',
      principal: owner.user.id,
      data: { id: held.id, itemId: held.item.id },
    });
    expect((await lease(bob, held, 'complete')).body.code).toBe('lease_lost');
    expect((await lease(owner, held, 'cancel')).status).toBe(404);
  });
});
