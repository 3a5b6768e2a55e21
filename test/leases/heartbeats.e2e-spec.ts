import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Heartbeats } from '../../src/leases/heartbeats.js';
import { clientCredentials, lacksScope, type RunningAgent, startAgent } from '../support/agents.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { http, type ProblemAnswer } from '../support/http.js';
import { claim, type HeartbeatAnswer, lease } from '../support/leases.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect } from '../support/sockets.js';
import { until } from '../support/until.js';

let app: TestApp;
let other: Instance;
let owner: Person;
beforeAll(async () => {
  app = await startAtrium();
  other = await app.startSecondInstance();
  owner = await registerUser(app);
});
afterEach(closeSockets);
afterAll(() => app.stop());

const start = () => startAgent(app, owner, ['leases']);
const beat = ({ agent, token }: RunningAgent, body?: unknown, at: Instance = app) =>
  http(at, token).post<HeartbeatAnswer & ProblemAnswer>(`/v1/agents/${agent.id}/heartbeat`, body);
/** What the stream says of an agent's coming and going. */
const comings = async ({ agent }: RunningAgent) =>
  (
    await app.sql<{ type: string }>(
      `SELECT type FROM events WHERE subject = $1 AND type ~ '^agent.(online|offline|lost)$' ORDER BY seq`,
      [`agents/${agent.id}`],
    )
  ).map(({ type }) => type);
const silent = ({ agent }: RunningAgent) =>
  app.sql(`UPDATE agent_presences SET due_at = now() - interval '1 ms' WHERE agent_id = $1`, [agent.id]);
const look = ({ nest }: Instance = app) => nest.get(Heartbeats).loseSilent();

describe('An agent that says it is there', () => {
  it('is online, once for the stream, however often and wherever it says so', async () => {
    const agent = await start();
    const answers = await Promise.all([
      beat(agent),
      beat(agent, {}, other),
      beat(agent),
      beat(agent, {}, other),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(answers[0].body).toEqual({ intervalSeconds: 10, leases: [], lost: [], rotateBy: null });
    expect(await comings(agent)).toEqual(['agent.online']);
    const { body } = await owner.http.get<{ lastSeenAt: string | null }>(`/v1/agents/${agent.agent.id}`);
    expect(body.lastSeenAt).not.toBeNull();
  });

  it('is offline when it says goodbye, and online again when it comes back', async () => {
    const agent = await start();
    const socket = await connect(app, { token: owner.token });
    await socket.join(`agents/${agent.agent.id}`);
    await beat(agent);
    await beat(agent, { leaving: true });
    await beat(agent, { leaving: true }, other);
    await beat(agent, {}, other);
    const told = await socket.received(`agents/${agent.agent.id}`, 3);
    expect(told.map(({ event }) => event.type)).toEqual(['agent.online', 'agent.offline', 'agent.online']);
    expect(told[1].event).toMatchObject({ principal: agent.agent.id, data: { state: 'offline' } });
    expect(await comings(agent)).toEqual(['agent.online', 'agent.offline', 'agent.online']);
  });

  it('is lost when nothing is heard of it, once over instances, and online when it is heard again', async () => {
    const [agent, alive] = [await start(), await start()];
    await Promise.all([beat(agent), beat(alive)]);
    await silent(agent);
    await Promise.all([look(), look(other)]);
    await look();
    expect(await comings(agent)).toEqual(['agent.online', 'agent.lost']);
    await beat(agent);
    expect(await comings(agent)).toEqual(['agent.online', 'agent.lost', 'agent.online']);
    expect(await comings(alive)).toEqual(['agent.online']);
  });

  it('speaks for itself alone', async () => {
    const [agent, thief] = [await start(), await start()];
    const path = `/v1/agents/${agent.agent.id}/heartbeat`;
    expect(lacksScope(await thief.http.post(path))).toBe(true);
    expect((await owner.http.post(path)).status).toBe(403);
    expect(await comings(agent)).toEqual([]);
  });
});

describe('A heartbeat', () => {
  it('extends the leases of the agent, all or those that it names, and never shortens one', async () => {
    const [agent, thief] = [await start(), await start()];
    for (let n = 0; n < 2; n++) await createItem(owner, { type: 'beat' });
    const [one, two] = await claim(agent, 'beat', { limit: 2, ttlSeconds: 60 });
    const all = (await beat(agent, { ttlSeconds: 600 })).body.leases;
    expect(all.map(({ id }) => id).sort()).toEqual([one.id, two.id].sort());
    for (const { expiresAt } of all) expect(expiresAt > one.expiresAt).toBe(true);
    const named = (await beat(agent, { leases: [one.id], ttlSeconds: 1 })).body;
    expect(named).toMatchObject({ leases: [all.find(({ id }) => id === one.id)], lost: [] });
    expect((await beat(thief, { leases: [one.id] })).body).toMatchObject({ leases: [], lost: [one.id] });
  });

  it('without the scope leases extends none, and names none', async () => {
    const agent = await startAgent(app, owner, ['leases', 'items:read']);
    await createItem(owner, { type: 'scoped' });
    const [held] = await claim(agent, 'scoped');
    const { body: narrow } = await clientCredentials(app, agent.agent, { scope: 'items:read' });
    const reader = { ...agent, token: narrow.access_token };
    expect((await beat(reader, { ttlSeconds: 600 })).body).toMatchObject({ leases: [], lost: [] });
    expect(lacksScope(await beat(reader, { leases: [held.id] }))).toBe(true);
    expect((await beat(reader, { leases: [] })).status).toBe(200);
    const { leases } = (await beat(agent, { ttlSeconds: 1 })).body;
    expect(leases).toEqual([{ id: held.id, expiresAt: held.expiresAt }]);
  });

  it('tells the agent what was cancelled, and what has expired', async () => {
    const agent = await start();
    for (let n = 0; n < 3; n++) await createItem(owner, { type: 'ends' });
    const [kept, cancelled, expired] = await claim(agent, 'ends', { limit: 3 });
    await lease(owner, cancelled, 'cancel');
    await app.sql(`UPDATE lease_states SET due_at = now() - interval '1 ms' WHERE lease_id = $1`, [
      expired.id,
    ]);
    const { body } = await beat(agent, { leases: [kept.id, cancelled.id, expired.id] });
    expect(body.leases.map(({ id }) => id)).toEqual([kept.id]);
    expect(body.lost).toEqual([cancelled.id, expired.id]);
  });

  it('names the time by which the credential is to be replaced, when that is near', async () => {
    const agent = await start();
    await app.sql(
      `UPDATE agent_credentials SET created_at = now() - interval '9 days', expires_at = now() + interval '1 day'
       WHERE agent_id = $1`,
      [agent.agent.id],
    );
    const { body } = await beat(agent);
    expect(Date.parse(body.rotateBy ?? '')).toBeGreaterThan(Date.now());
  });
});

describe('The interval of heartbeats', () => {
  it('grows with the number of agents that are there, and with it the time until one is lost', async () => {
    const agent = await start();
    await app.sql(
      `WITH many AS (
         INSERT INTO agents
         SELECT (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid()))).*
         FROM agents a, generate_series(1, 3000) WHERE a.id = $1 RETURNING id, workspace_id
       )
       INSERT INTO agent_presences (agent_id, workspace_id, due_at)
       SELECT id, workspace_id, now() + interval '1 hour' FROM many`,
      [agent.agent.id],
    );
    app.moveClock(11_000); // they are counted every ten seconds
    await until('the interval is longer', async () => (await beat(agent)).body.intervalSeconds >= 15);
    const [{ seconds }] = await app.sql<{ seconds: number }>(
      `SELECT extract(epoch FROM due_at - now())::float8 AS seconds FROM agent_presences WHERE agent_id = $1`,
      [agent.agent.id],
    );
    expect(seconds).toBeGreaterThan(40);
  });
});
