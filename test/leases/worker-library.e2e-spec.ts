import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  GiveUp,
  type Item,
  LeaseLost,
  type Work,
  type Worker,
  worker,
} from '../../examples/worker/worker.ts';
import { createAgent, type CreatedAgentAnswer } from '../support/agents.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { startProxy, type SeverableProxy } from '../support/severable-proxy.js';
import { until } from '../support/until.js';

let app: TestApp;
let owner: Person;
let agent: CreatedAgentAnswer;
let proxy: SeverableProxy;
let workers: Worker[] = [];
beforeAll(async () => {
  app = await startAtrium();
  owner = await registerUser(app);
  agent = await createAgent(owner, { scopes: ['leases', 'items:write'] });
  proxy = await startProxy(app.url);
});
afterEach(async () => {
  await Promise.allSettled(workers.map((each) => each.stop()));
  workers = [];
});
afterAll(async () => {
  await proxy.cut();
  await app.stop();
});

type Options = Partial<Parameters<typeof worker>[0]> & Pick<Parameters<typeof worker>[0], 'type' | 'handle'>;
function start(options: Options): Worker {
  const { clientId, clientSecret } = agent;
  const started = worker({ baseUrl: app.url, clientId, clientSecret, ...options });
  workers.push(started);
  return started;
}
interface State {
  readonly state: string;
  readonly attempts: number;
  readonly reason: string | null;
}
const stateOf = async ({ id }: { id: string }) =>
  (await app.sql<State>('SELECT state, attempts, reason FROM lease_states WHERE item_id = $1', [id]))[0];
const becomes = (item: { id: string }, state: string) =>
  until(`the work is ${state}`, async () => {
    const found = await stateOf(item);
    return found?.state === state && found;
  });
/** Something that a handler waits for. */
function gate(): { open: () => void; opened: Promise<void> } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}
const aborted = (signal: AbortSignal): Promise<Error> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason as Error)));

/** A way to the server on which the first answer that gives a lease does not arrive. */
async function holdFirstClaim(): Promise<{ url: string; held: Promise<void>; close: () => void }> {
  const { open, opened } = gate();
  let isHeld = false;
  const server = createServer((request, response) => {
    void (async () => {
      const passedOn = ['authorization', 'content-type', 'idempotency-key'].flatMap((name) => {
        const value = request.headers[name];
        return typeof value === 'string' ? [[name, value] as const] : [];
      });
      const answer = await fetch(new URL(request.url ?? '', app.url), {
        method: 'POST',
        headers: Object.fromEntries(passedOn),
        body: await text(request),
      });
      const body = await answer.text();
      if (!isHeld && body.includes('"fence"')) {
        isHeld = true;
        open();
        return;
      }
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(body);
    })();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, held: opened, close: () => server.close() };
}

describe('A worker', () => {
  it('has items done, each once, with what its handler changes and returns', async () => {
    const seen: string[] = [];
    const items = await Promise.all([1, 2, 3].map(() => createItem(owner, { type: 'plain' })));
    start({
      type: 'plain',
      concurrency: 2,
      handle: async (item: Item, { update, fence }: Work) => {
        seen.push(item.id);
        const changed = await update({ data: { begun: true } }, fence);
        return { title: 'Done', data: { version: changed.version } };
      },
    });
    await Promise.all(items.map((item) => becomes(item, 'done')));
    expect(seen.toSorted()).toEqual(items.map(({ id }) => id).toSorted());
    const { body } = await owner.http.get<Item>(`/v1/items/${items[0].id}`);
    expect(body).toMatchObject({ title: 'Done', data: { begun: true, version: 2 }, version: 3 });
  });

  it('never works on more items at a time than it is to, and on as many if there are', async () => {
    const items = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(() => createItem(owner, { type: 'many' })));
    let running = 0;
    let most = 0;
    const full = gate();
    start({
      type: 'many',
      concurrency: 3,
      handle: async () => {
        most = Math.max(most, ++running);
        if (running === 3) full.open();
        await full.opened;
        const held = await app.sql(`SELECT FROM lease_states WHERE type = 'many' AND state = 'leased'`);
        most = Math.max(most, held.length);
        running--;
      },
    });
    await Promise.all(items.map((item) => becomes(item, 'done')));
    expect(most).toBe(3);
  });

  it('keeps the lease of a handler that outlives its time', async () => {
    const item = await createItem(owner, { type: 'long' });
    const { open, opened } = gate();
    let claimed = '';
    start({
      type: 'long',
      ttlSeconds: 1,
      handle: async (_: Item, { lease }: Work) => {
        claimed = lease.expiresAt;
        await opened;
      },
    });
    await until('its first time is over', async () => {
      const [row] = await app.sql<{ over: boolean }>(
        `SELECT now() > $2::timestamptz + interval '1 second' AND due_at > now() AS over FROM lease_states WHERE item_id = $1`,
        [item.id, claimed || '2999-01-01'],
      );
      return row?.over;
    });
    open();
    expect(await becomes(item, 'done')).toMatchObject({ attempts: 1 });
  });

  it('stops a handler whose lease is cancelled, and changes nothing more', async () => {
    const item = await createItem(owner, { type: 'cancelled' });
    const { open, opened } = gate();
    let held: Work | undefined;
    let told: Error | undefined;
    start({
      type: 'cancelled',
      ttlSeconds: 3,
      handle: async (_: Item, work: Work) => {
        held = work;
        open();
        told = await aborted(work.signal);
        return { title: 'Too late' };
      },
    });
    await opened;
    await owner.http.post(`/v1/leases/${held!.lease.id}/cancel`, { reason: 'not needed' });
    await until('it is told', () => told);
    expect(told).toBeInstanceOf(LeaseLost);
    await expect(held!.update({ title: 'Too late' })).rejects.toMatchObject({ code: 'lease_lost' });
    expect(await stateOf(item)).toMatchObject({ state: 'dead', reason: 'not needed' });
    expect((await owner.http.get<Item>(`/v1/items/${item.id}`)).body.version).toBe(1);
  });

  it('says why a handler failed; tries it again, until it is dead or was given up', async () => {
    await owner.http.call('PUT', '/v1/leases/types', { json: { type: 'failing', attempts: 2 } });
    const [failing, hopeless] = [
      await createItem(owner, { type: 'failing', title: 'failing' }),
      await createItem(owner, { type: 'failing', title: 'hopeless' }),
    ];
    const errors: unknown[] = [];
    start({
      type: 'failing',
      concurrency: 2,
      handle: ({ title }: Item) => {
        if (title === 'hopeless') throw new GiveUp('makes no sense');
        throw new Error('out of luck');
      },
      onError: (error: unknown) => errors.push(error),
    });
    expect(await becomes(hopeless, 'dead')).toMatchObject({ attempts: 1, reason: 'makes no sense' });
    expect(await becomes(failing, 'ready')).toMatchObject({ attempts: 1, reason: 'out of luck' });
    // Its pause is over, as its waiting claim finds out by itself.
    await app.sql(`UPDATE lease_states SET due_at = now() WHERE item_id = $1`, [failing.id]);
    await createItem(owner, { type: 'failing', title: 'hopeless' });
    expect(await becomes(failing, 'dead')).toMatchObject({ attempts: 2, reason: 'out of luck' });
    expect(errors).toContainEqual(new Error('out of luck'));
  });

  it('leaves nothing leased when it stops: waits for handlers, and gives back what takes too long', async () => {
    const [quick, slow, next] = [
      await createItem(owner, { type: 'stopping', title: 'quick', data: { lease: { priority: 9 } } }),
      await createItem(owner, { type: 'stopping', title: 'slow', data: { lease: { priority: 8 } } }),
      await createItem(owner, { type: 'stopping', title: 'next' }),
    ];
    const both = gate();
    let begun = 0;
    let toStop = false;
    let slowEnded: Error | undefined;
    const stopping = start({
      type: 'stopping',
      concurrency: 2,
      graceMs: 700,
      handle: async ({ title }: Item, { signal }: Work) => {
        if (++begun === 2) both.open();
        if (title === 'slow') slowEnded = await aborted(signal);
        else await until('it is to stop', () => toStop);
      },
    });
    await both.opened;
    toStop = true;
    await stopping.stop();
    expect(await stateOf(quick)).toMatchObject({ state: 'done' });
    expect(await stateOf(slow)).toMatchObject({ state: 'ready', attempts: 0 });
    expect(await stateOf(next)).toMatchObject({ state: 'ready', attempts: 0 });
    expect(slowEnded?.message).toMatch(/stops/);
    const [presence] = await app.sql(`SELECT state FROM agent_presences WHERE agent_id = $1`, [agent.id]);
    expect(presence).toEqual({ state: 'offline' });
  });

  it('gives back what its last claim was given, when it stops before it has the answer', async () => {
    const item = await createItem(owner, { type: 'raced' });
    const { url, held, close } = await holdFirstClaim();
    try {
      const stopping = start({ baseUrl: url, type: 'raced', handle: () => undefined });
      await held;
      expect(await stateOf(item)).toMatchObject({ state: 'leased' });
      await stopping.stop();
      expect(await stateOf(item)).toMatchObject({ state: 'ready', attempts: 0 });
    } finally {
      close();
    }
  });

  it('goes on where it was after the server could not be reached, and waits with what it has done', async () => {
    const [first, second] = [
      await createItem(owner, { type: 'outage', title: 'first' }),
      await createItem(owner, { type: 'outage', title: 'second' }),
    ];
    const begun = gate();
    const done = gate();
    start({
      baseUrl: proxy.url,
      type: 'outage',
      handle: async ({ title }: Item) => {
        if (title !== 'first') return;
        begun.open();
        await done.opened;
      },
    });
    await begun.opened;
    await proxy.cut();
    done.open();
    await proxy.mend();
    expect(await becomes(first, 'done')).toMatchObject({ attempts: 1 });
    await becomes(second, 'done');
  });

  it('gets another token when its own was ended', async () => {
    const item = await createItem(owner, { type: 'token' });
    const begun = gate();
    const ended = gate();
    start({
      type: 'token',
      handle: async () => {
        begun.open();
        await ended.opened;
      },
    });
    await begun.opened;
    app.moveClock(3_600_000);
    ended.open();
    await becomes(item, 'done');
  });

  it('ends when the server does not know it', async () => {
    const stranger = start({ type: 'x', clientSecret: 'not it', handle: () => undefined });
    await expect(stranger.stopped).rejects.toMatchObject({ status: 401, code: 'invalid_client' });
  });
});
