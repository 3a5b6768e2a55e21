import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { StreamTail } from '../../src/events/stream-tail.js';
import { type RunningAgent, startAgent } from '../support/agents.js';
import type { Instance, TestApp } from '../support/app.js';
import { runAtrium } from '../support/cli.js';
import { http } from '../support/http.js';
import { claim, lease, type LeaseAnswer } from '../support/leases.js';
import { createItem, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';
import { until } from '../support/until.js';

const OPERATOR = '00000000-0000-0000-0000-000000000000';

let app: TestApp;
let second: Instance;
let owner: Person;
let heir: RunningAgent;
beforeAll(async () => {
  app = await sharedAtrium();
  second = await sharedSecondInstance();
  owner = await registerUser(app);
  heir = await startAgent(app, owner, ['leases']);
});
afterEach(closeSockets);
afterAll(() => app.stop());

const pathOf = ({ agent }: Pick<RunningAgent, 'agent'>) => `/v1/agents/${agent.id}`;

interface BusyAgent extends RunningAgent {
  readonly held: readonly LeaseAnswer[];
}

/** An agent that holds two items of a type of its own, for an hour. */
async function busy(type: string): Promise<BusyAgent> {
  const running = await startAgent(app, owner, ['leases', 'items:read', 'items:write']);
  for (let made = 0; made < 2; made++) await createItem(owner, { type });
  return { ...running, held: await claim(running, type, { limit: 2, ttlSeconds: 3_600 }) };
}

interface Told {
  readonly type: string;
  readonly principal_id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What the stream tells from the last event of a type on, with who did it. */
const toldSince = ({ agent }: RunningAgent, type: string): Promise<Told[]> =>
  app.sql<Told>(
    `SELECT type, principal_id, data FROM events WHERE stream_id = $1 AND seq >= (
       SELECT max(seq) FROM events WHERE stream_id = $1 AND subject = $2 AND type = $3) ORDER BY seq`,
    [agent.workspaceId, `agents/${agent.id}`, type],
  );

/** That what an agent held is free, as if it had not been tried, and told of behind what took it, in the same name. */
async function isFree(agent: BusyAgent, end: { type: string; by: string; reason: string }): Promise<void> {
  const [, ...told] = await toldSince(agent, end.type);
  expect(told.map(({ type, principal_id: by }) => [type, by])).toEqual([
    ['lease.released', end.by],
    ['lease.released', end.by],
  ]);
  for (const { data } of told) {
    const { reason } = end;
    expect(data).toMatchObject({ agentId: agent.agent.id, state: 'ready', attempt: 0, reason });
    expect(Date.parse(String(data['dueAt']))).toBeLessThan(Date.parse(agent.held[0].expiresAt) - 3_000_000);
  }
  expect(told.map(({ data }) => String(data['id'])).sort()).toEqual(agent.held.map(({ id }) => id).sort());
  const again = await claim(heir, agent.held[0].item.type, { limit: 2 });
  expect(again.map(({ attempt }) => attempt)).toEqual([1, 1]);
}

describe('What an agent holds', () => {
  it('is free at once when it is disabled, in the name of who did that, and goes to whoever waits', async () => {
    const ada = await busy('disabled');
    const { item } = ada.held[0];
    const waiting = claim({ http: http(second, heir.token) }, 'disabled', { waitSeconds: 30 });
    await until('it waits', () => second.nest.get(StreamTail, { strict: false }).followedCount > 0);
    const watcher = await connectAndJoin(app, owner.token, `items/${item.id}`);
    expect((await owner.http.post(`${pathOf(ada)}/disable`)).status).toBe(200);
    const [released] = await watcher.received(`items/${item.id}`, 1);
    expect(released.event).toMatchObject({ type: 'lease.released', principal: owner.user.id });
    const [found] = await waiting;
    expect(found).toMatchObject({ attempt: 1, item: { type: 'disabled' } });
    expect((await lease(heir, found, 'release')).status).toBe(200);
    const told = (await toldSince(ada, 'agent.disabled')).slice(0, 3);
    expect(told.map(({ type }) => type)).toEqual(['agent.disabled', 'lease.released', 'lease.released']);
  });

  it('is free at once by every way to end it: patched, at the command line, deleted, without the scope', async () => {
    const by = owner.user.id;
    const ends: readonly [string, (agent: BusyAgent) => Promise<unknown>, Parameters<typeof isFree>[1]][] = [
      [
        'patched',
        (agent) => owner.http.patch(pathOf(agent), { status: 'disabled' }),
        { type: 'agent.disabled', by, reason: 'disabled' },
      ],
      [
        'commanded',
        ({ agent }) => runAtrium(['agents', 'disable', agent.id], app.databaseUrl),
        { type: 'agent.disabled', by: OPERATOR, reason: 'disabled' },
      ],
      [
        'deleted',
        (agent) => owner.http.delete(pathOf(agent)),
        { type: 'agent.deleted', by, reason: 'deleted' },
      ],
      [
        'narrowed',
        (agent) => owner.http.patch(pathOf(agent), { scopes: ['items:read'] }),
        { type: 'agent.updated', by, reason: 'scope_lost' },
      ],
    ];
    for (const [type, end, expected] of ends) {
      const agent = await busy(type);
      await end(agent);
      await isFree(agent, expected);
    }
  });

  it('stays with it while it may work: with other scopes less, another name, no token', async () => {
    const ada = await busy('kept');
    await owner.http.patch(pathOf(ada), { name: 'Another', scopes: ['leases'] });
    const { body } = await owner.http.get<PageAnswer<{ id: string }>>(`${pathOf(ada)}/secrets`);
    await owner.http.delete(`${pathOf(ada)}/secrets/${body.data[0].id}`);
    expect(await claim(heir, 'kept')).toEqual([]);
  });

  it('is free also when it is given at the very moment at which the agent is disabled', async () => {
    const ada = await busy('raced');
    await createItem(owner, { type: 'raced' });
    const holder = new Client({ connectionString: app.databaseUrl });
    await holder.connect();
    try {
      await holder.query('BEGIN');
      await holder.query('SELECT FROM streams WHERE id = $1 FOR NO KEY UPDATE', [owner.workspaceId]);
      const waiting = async (count: number) => {
        const rows = await app.sql(`SELECT FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'`);
        return rows.length >= count;
      };
      const given = claim(ada, 'raced', { ttlSeconds: 3_600 });
      await until('the claim has all but the number of its event', () => waiting(1));
      const disabled = owner.http.post(`${pathOf(ada)}/disable`);
      await until('the agent is as good as disabled', () => waiting(2));
      await holder.query('COMMIT');
      expect((await disabled).status).toBe(200);
      await given.catch(() => []);
    } finally {
      await holder.end();
    }
    expect(await claim(heir, 'raced', { limit: 5 })).toHaveLength(3);
  });
});
