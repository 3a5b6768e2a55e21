import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { LeaseExpiry } from '../../src/leases/lease-expiry.js';
import { lacksScope, type RunningAgent, startAgent } from '../support/agents.js';
import type { TestApp } from '../support/app.js';
import { claim, lease, type LeaseAnswer, type WorkAnswer } from '../support/leases.js';
import {
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';

let app: TestApp;
let owner: Person;
let [ada, bob]: RunningAgent[] = [];
beforeAll(async () => {
  app = await sharedAtrium();
  owner = await registerUser(app);
  ada = await startAgent(app, owner, ['leases', 'items:write', 'items:read']);
  bob = await startAgent(app, owner, ['leases', 'items:write:type=other']);
});
afterEach(closeSockets);
afterAll(() => app.stop());

const pathOf = ({ item }: LeaseAnswer) => `/v1/items/${item.id}`;
const read = async (held: LeaseAnswer) => (await owner.http.get<ItemAnswer>(pathOf(held))).body;
const under = (id: string, headers = {}) => ({ headers: { Lease: id, ...headers } });
const expire = ({ id }: { id: string }) =>
  app.sql(`UPDATE lease_states SET due_at = now() - interval '1 ms' WHERE lease_id = $1`, [id]);
const events = async (item: { id: string }) =>
  (
    await app.sql<{ type: string }>(`SELECT type FROM events WHERE subject = $1 ORDER BY seq`, [
      `items/${item.id}`,
    ])
  ).map(({ type }) => type);
async function leased(type: string, agent = ada): Promise<LeaseAnswer> {
  await createItem(owner, { type });
  return (await claim(agent, type))[0];
}

describe('A write under a lease', () => {
  it('is done while the lease is held', async () => {
    const held = await leased('written');
    expect((await ada.http.patch(pathOf(held), { title: 'One' }, under(held.id))).status).toBe(200);
    const steps = [{ op: 'replace', path: '/title', value: 'Two' }];
    const json = { 'Content-Type': 'application/json-patch+json' };
    expect((await ada.http.patch(pathOf(held), steps, under(held.id, json))).status).toBe(200);
    expect(await read(held)).toMatchObject({ title: 'Two', version: 3 });
    expect((await ada.http.delete(pathOf(held), under(held.id))).status).toBe(204);
    expect((await lease(ada, held, 'complete')).body.code).toBe('lease_lost');
  });

  it('is refused, and changes nothing, once the lease was lost, or is of another item or agent', async () => {
    const held = await leased('lost');
    const another = await leased('lost');
    const json = { 'Content-Type': 'application/json-patch+json' };
    const tryAll = async (id: string, agent = ada) => [
      await agent.http.patch(pathOf(held), { title: 'x' }, under(id)),
      await agent.http.patch(pathOf(held), [{ op: 'replace', path: '/title', value: 'x' }], under(id, json)),
      await agent.http.delete(pathOf(held), under(id)),
    ];
    const carol = await startAgent(app, owner, ['leases', 'items:write']);
    const answers = [...(await tryAll(another.id)), ...(await tryAll(held.id, carol))];
    await expire(held);
    answers.push(...(await tryAll(held.id)));
    await claim(carol, 'lost');
    answers.push(...(await tryAll(held.id)));
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(
      answers.map(() => [409, 'lease_lost']),
    );
    expect(await read(held)).toEqual(held.item);
    expect((await ada.http.patch(pathOf(held), {}, under('nonsense'))).status).toBe(400);
  });

  it('is refused where no lease is looked at, and changes nothing: so it is not done after the lease was lost', async () => {
    const held = await leased('elsewhere');
    const created = { title: 't', type: 'elsewhere', data: {} };
    const update = { op: 'update', id: held.item.id, patch: { title: 'x' } };
    const ndjson = { raw: JSON.stringify(created), headers: { 'Content-Type': 'application/x-ndjson' } };
    const answers = [
      await ada.http.post('/v1/items', created, under(held.id)),
      await ada.http.post('/v1/items/batch', { operations: [update] }, under(held.id)),
      await ada.http.post(`${pathOf(held)}/restore`, { version: 1 }, under(held.id)),
      await ada.http.call('POST', '/v1/items/import', {
        ...ndjson,
        headers: { ...ndjson.headers, Lease: held.id },
      }),
      await owner.http.delete(`/v1/items/trash/${held.item.id}`, under(held.id)),
    ];
    expect(answers.map(({ status, body }) => [status, body.errors?.[0]?.pointer])).toEqual(
      answers.map(() => [400, '/Lease']),
    );
    expect(await read(held)).toEqual(held.item);
    expect(await claim(ada, 'elsewhere')).toEqual([]);
    expect((await ada.http.get(pathOf(held), under(held.id))).status).toBe(200);
  });

  it('shares a statement with others and is judged by itself', async () => {
    const [good, bad] = [await leased('shared'), await leased('shared')];
    await expire(bad);
    const answers = await Promise.all([
      ada.http.patch(pathOf(good), { data: { n: 1 } }, under(good.id)),
      ada.http.patch(pathOf(bad), { data: { n: 1 } }, under(bad.id)),
      owner.http.patch(pathOf(bad), { data: { n: 2 } }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 409, 200]);
    expect((await read(bad)).data).toEqual({ n: 2 });
  });
});

describe('Completing', () => {
  it('changes the item with it, in the name of the agent', async () => {
    const held = await leased('done');
    const { status, body } = await lease(ada, held, 'complete', { patch: { data: { result: 42 } } });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      state: 'done',
      item: { version: 2, data: { result: 42 }, updatedBy: ada.agent.id },
    });
    expect(await read(held)).toEqual(body.item);
    expect(await claim(ada, 'done')).toEqual([]);
    const told = await app.sql<{ type: string; principal_id: string }>(
      `SELECT type, principal_id FROM events WHERE subject = $1 ORDER BY seq DESC LIMIT 2`,
      [`items/${held.item.id}`],
    );
    expect(told.map(({ type }) => type)).toEqual(['lease.completed', 'item.updated']);
  });

  it('with a patch needs the scope to write the item, before and after; without it, everything stays', async () => {
    const held = await leased('kept', bob);
    const mine = await leased('other', bob);
    expect(lacksScope(await lease(bob, held, 'complete', { patch: { title: 'x' } }))).toBe(true);
    expect(lacksScope(await lease(bob, mine, 'complete', { patch: { type: 'kept' } }))).toBe(true);
    const wrong = await lease(bob, mine, 'complete', { patch: { title: '' } });
    expect(wrong.body.errors?.[0]?.pointer).toBe('/patch/title');
    expect((await read(held)).version).toBe(1);
    expect((await lease(bob, mine, 'complete', { patch: { title: 'x' } })).status).toBe(200);
    expect((await lease(bob, held, 'complete')).status).toBe(200);
  });

  it('with a patch is refused where the workspace demands If-Match', async () => {
    const { workspaceId } = owner;
    const held = await leased('strict');
    await owner.http.patch(`/v1/workspaces/${workspaceId}`, { requireIfMatch: true });
    expect((await lease(ada, held, 'complete', { patch: { title: 'x' } })).status).toBe(428);
    await owner.http.patch(`/v1/workspaces/${workspaceId}`, { requireIfMatch: false });
    expect((await lease(ada, held, 'complete')).status).toBe(200);
  });
});

describe('A lease that has expired', () => {
  it('is claimed by the next at once; whoever had it can do nothing more under it', async () => {
    const item = await createItem(owner, { type: 'slow' });
    const [old] = await claim(ada, 'slow');
    await expire(old);
    for (const action of ['complete', 'release'])
      expect((await lease(ada, old, action)).body.code).toBe('lease_lost');
    const [held] = await claim(bob, 'slow');
    expect(held).toMatchObject({ attempt: 2, item: { id: item.id } });
    for (const [action, body] of [
      ['extend', { ttlSeconds: 60 }],
      ['complete', { patch: { title: 'stale' } }],
      ['fail', { reason: 'x' }],
      ['release', undefined],
    ] as const)
      expect((await lease(ada, old, action, body)).body.code).toBe('lease_lost');
    expect((await lease(bob, held, 'complete')).body).toMatchObject({ state: 'done', attempt: 2 });
    expect(await events(item)).toEqual([
      'item.created',
      'lease.claimed',
      'lease.expired',
      'lease.claimed',
      'lease.completed',
    ]);
    expect((await owner.http.get<ItemAnswer>(`/v1/items/${item.id}`)).body.title).toBe('A task');
  });

  it('lives on when it is extended, and is never shortened', async () => {
    await createItem(owner, { type: 'long' });
    const [held] = await claim(ada, 'long', { ttlSeconds: 60 });
    const extend = async (ttlSeconds: number) =>
      Date.parse((await lease<{ expiresAt: string }>(ada, held, 'extend', { ttlSeconds })).body.expiresAt);
    const longer = await extend(600);
    expect(longer).toBeGreaterThan(Date.parse(held.expiresAt));
    expect(await extend(1)).toBe(longer);
  });

  it('is told to the stream by a job, and is dead when it was tried too often', async () => {
    await owner.http.call('PUT', '/v1/leases/types', { json: { type: 'deadly', attempts: 2 } });
    const item = await createItem(owner, { type: 'deadly' });
    for (const attempt of [1, 2]) {
      const [held] = await claim(bob, 'deadly');
      expect(held.attempt).toBe(attempt);
      await expire(held);
      await app.nest.get(LeaseExpiry).run();
    }
    expect(await claim(ada, 'deadly')).toEqual([]);
    expect((await events(item)).slice(-3)).toEqual(['lease.expired', 'lease.claimed', 'lease.dead']);
  });
});

describe('What becomes of a lease', () => {
  it('needs no body: it is extended by a minute, has failed without a word, is done, given back or cancelled', async () => {
    const held = await leased('wordless');
    const extended = await lease<{ id: string; expiresAt: string }>(ada, held, 'extend');
    expect([extended.status, extended.body.id]).toEqual([200, held.id]);
    expect(Date.parse(extended.body.expiresAt)).toBeGreaterThanOrEqual(Date.parse(held.expiresAt));
    const failed = await lease(ada, held, 'fail');
    expect([failed.status, failed.body]).toMatchObject([
      200,
      { state: 'ready', reason: 'failed', attempt: 1 },
    ]);
    const ends: [string, Pick<RunningAgent, 'http'>, string][] = [
      ['complete', ada, 'done'],
      ['release', ada, 'ready'],
      ['cancel', owner, 'dead'],
    ];
    for (const [action, caller, state] of ends) {
      const { status, body } = await lease(caller, await leased(`wordless-${action}`), action);
      expect([action, status, body.state]).toEqual([action, 200, state]);
    }
    const unknown = await lease(ada, await leased('worded'), 'fail', { why: 'x' });
    expect([unknown.status, unknown.body.errors]).toMatchObject([400, [{ pointer: '/why' }]]);
  });
});

describe('Work that fails', () => {
  const due = (id: string) => app.sql(`UPDATE lease_states SET due_at = now() WHERE item_id = $1`, [id]);

  it('is tried again after a time that doubles, then dead with the reason, listed, and tried again on demand', async () => {
    const { id } = await createItem(owner, { type: 'flaky' });
    const delays: number[] = [];
    for (let attempt = 1; attempt <= 5; attempt++) {
      const [held] = await claim(ada, 'flaky');
      const { body } = await lease(ada, held, 'fail', { reason: `no ${attempt}` });
      expect(body).toMatchObject({ state: attempt < 5 ? 'ready' : 'dead', reason: `no ${attempt}`, attempt });
      expect(await claim(ada, 'flaky')).toEqual([]);
      const [{ seconds }] = await app.sql<{ seconds: number }>(
        `SELECT round(extract(epoch FROM due_at - changed_at))::int AS seconds FROM lease_states WHERE item_id = $1`,
        [id],
      );
      delays.push(seconds);
      await due(id);
    }
    expect(delays.slice(0, 4)).toEqual([10, 20, 40, 80]);
    const list = await owner.http.get<PageAnswer<WorkAnswer>>('/v1/leases/dead?type=flaky');
    expect(list.body.data).toMatchObject([{ itemId: id, state: 'dead', reason: 'no 5', attempt: 5 }]);
    const retried = await owner.http.post<{ items: string[] }>('/v1/leases/dead/retry', { items: [id] });
    expect(retried.body.items).toEqual([id]);
    expect((await claim(ada, 'flaky'))[0]).toMatchObject({ attempt: 1 });
  });

  it('for good is dead at once; many are retried together, and what is not dead is left alone', async () => {
    const items: string[] = [];
    for (let n = 0; n < 3; n++) {
      const held = await leased('hopeless');
      items.push(held.item.id);
      if (n < 2) await lease(ada, held, 'fail', { reason: 'never', retry: false });
    }
    const first = await owner.http.get<PageAnswer<WorkAnswer>>('/v1/leases/dead?type=hopeless&limit=1');
    const rest = await owner.http.get<PageAnswer<WorkAnswer>>(
      `/v1/leases/dead?type=hopeless&cursor=${first.body.nextCursor}`,
    );
    expect([...first.body.data, ...rest.body.data].map(({ itemId }) => itemId)).toEqual(items.slice(0, 2));
    expect(rest.body.nextCursor).toBeNull();
    const stranger = await registerUser(app);
    const foreign = await stranger.http.post<{ items: string[] }>('/v1/leases/dead/retry', { items });
    expect(foreign.body.items).toEqual([]);
    const { body } = await owner.http.post<{ items: string[] }>('/v1/leases/dead/retry', { items });
    expect(body.items).toEqual(items.slice(0, 2));
  });
});

describe('The queue, for those who watch it', () => {
  it('is told of every transition as it happens, in the name of whoever did it', async () => {
    const room = `workspaces/${owner.workspaceId}`;
    const watcher = await connectAndJoin(app, owner.token, room);
    const { id } = await createItem(owner, { type: 'watched' });
    const again = async () => {
      await app.sql(`UPDATE lease_states SET due_at = now() WHERE item_id = $1`, [id]);
      return (await claim(ada, 'watched'))[0];
    };
    await lease(ada, await again(), 'release');
    await lease(ada, await again(), 'fail', { reason: 'not yet' });
    await expire(await again());
    await lease(owner, await again(), 'cancel');
    await owner.http.post('/v1/leases/dead/retry', { items: [id] });
    await lease(ada, await again(), 'fail', { reason: 'never', retry: false });
    await owner.http.post('/v1/leases/dead/retry', { items: [id] });
    await lease(ada, await again(), 'complete', { patch: { data: { done: true } } });
    const told = (await watcher.received(room, 17)).map(({ event }) => [event.type, event.principal]);
    const [people, agent] = [owner.user.id, ada.agent.id];
    expect(told).toEqual([
      ['item.created', people],
      ['lease.claimed', agent],
      ['lease.released', agent],
      ['lease.claimed', agent],
      ['lease.failed', agent],
      ['lease.claimed', agent],
      ['lease.expired', agent],
      ['lease.claimed', agent],
      ['lease.cancelled', people],
      ['agent.lease_cancelled', people],
      ['lease.retried', people],
      ['lease.claimed', agent],
      ['lease.dead', agent],
      ['lease.retried', people],
      ['lease.claimed', agent],
      ['item.updated', agent],
      ['lease.completed', agent],
    ]);
    const history = await owner.http.get<PageAnswer<{ version: number; by: string }>>(
      `/v1/items/${id}/history`,
    );
    expect(history.body.data.map(({ version, by }) => [version, by])).toEqual([
      [2, agent],
      [1, people],
    ]);
  });
});
