import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Heartbeats } from '../../src/leases/heartbeats.js';
import { clientCredentials, type RunningAgent, startAgent } from '../support/agents.js';
import { type Instance, testVariables, type TestApp } from '../support/app.js';
import { claim, type HeartbeatAnswer, lease } from '../support/leases.js';
import { compiledPath, root } from '../support/native/paths.mjs';
import { createItem, type Person, registerUser } from '../support/people.js';
import { type AtriumProcess, spawnAtrium } from '../support/process.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connect, type ServerFrame, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';

let app: TestApp;
let other: Instance;
let owner: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  other = await sharedSecondInstance();
  owner = await registerUser(app);
});
afterEach(closeSockets);
afterAll(() => app.stop());

const start = () => startAgent(app, owner, ['leases']);
const beat = (socket: SocketClient, data: unknown = {}): Promise<ServerFrame<HeartbeatAnswer>> =>
  socket.send<HeartbeatAnswer>('heartbeat', data);
/** A socket over which the agent has said that it is there. */
async function there({ token }: RunningAgent, at: { readonly url: string } = app): Promise<SocketClient> {
  const socket = await connect(at, { token });
  expect((await beat(socket)).event).toBe('heartbeat');
  return socket;
}
const post = ({ agent, http }: RunningAgent) => http.post(`/v1/agents/${agent.id}/heartbeat`);
/** What the stream says of an agent's coming and going. */
const comings = async ({ agent }: RunningAgent) =>
  (
    await app.sql<{ type: string }>(
      `SELECT substr(type, 7) AS type FROM events
       WHERE subject = $1 AND type ~ '^agent.(online|offline|lost)$' ORDER BY seq`,
      [`agents/${agent.id}`],
    )
  ).map(({ type }) => type);
const connected = async ({ agent }: RunningAgent) =>
  (
    await app.sql<{ count: number }>(
      `SELECT cardinality(connected) AS count FROM agent_presences WHERE agent_id = $1`,
      [agent.id],
    )
  )[0]?.count;
/** As if the time had passed until which it counts as there. */
const timeOut = ({ agent }: RunningAgent) =>
  app.sql(`UPDATE agent_presences SET due_at = now() - interval '1 ms' WHERE agent_id = $1`, [agent.id]);
const lookAtBoth = () => Promise.all([app, other].map(({ nest }) => nest.get(Heartbeats).loseSilent()));

describe('A heartbeat over a socket', () => {
  it('is answered as by POST: extends leases, names those that were lost and when the next is due', async () => {
    const agent = await start();
    for (let n = 0; n < 3; n++) await createItem(owner, { type: 'socket beat' });
    const [one, two, cancelled] = await claim(agent, 'socket beat', { limit: 3, ttlSeconds: 60 });
    await lease(owner, cancelled, 'cancel');
    const socket = await connect(app, { token: agent.token });
    const all = await beat(socket, { ttlSeconds: 600 });
    expect(all).toMatchObject({
      event: 'heartbeat',
      data: { intervalSeconds: 10, lost: [], rotateBy: null },
    });
    expect(all.data.leases.map(({ id }) => id).sort()).toEqual([one.id, two.id].sort());
    for (const { expiresAt } of all.data.leases) expect(expiresAt > one.expiresAt).toBe(true);
    const named = await beat(socket, { leases: [one.id, cancelled.id], ttlSeconds: 1 });
    expect(named.data).toMatchObject({ leases: [{ id: one.id }], lost: [cancelled.id] });
    const refused = await beat(socket, { leases: 'all', ttlSeconds: 0 });
    expect(refused).toMatchObject({ event: 'error', data: { code: 'validation_failed' } });
  });

  it('is for agents: people are refused', async () => {
    const socket = await connect(app, { token: owner.token });
    expect(await beat(socket)).toMatchObject({ event: 'error', data: { code: 'forbidden' } });
  });

  it('makes an agent present once, over however many sockets and instances, and by POST besides', async () => {
    const agent = await start();
    await Promise.all([there(agent), there(agent), there(agent, other), post(agent)]);
    expect(await comings(agent)).toEqual(['online']);
  });

  it('may say goodbye, and be taken back', async () => {
    const agent = await start();
    const socket = await there(agent);
    await beat(socket, { leaving: true });
    await beat(socket);
    expect(await comings(agent)).toEqual(['online', 'offline', 'online']);
  });
});

describe('An agent whose socket closes', () => {
  it('is offline with the last one that it closes itself, at whichever instance, and only then', async () => {
    const agent = await start();
    const [one, two, elsewhere] = [await there(agent), await there(agent), await there(agent, other)];
    await one.close();
    await two.close();
    await until('the instance knows', async () => (await connected(agent)) === 1);
    expect(await comings(agent)).toEqual(['online']);
    await elsewhere.close();
    await until('it is offline', async () => (await comings(agent)).length === 2);
    expect(await comings(agent)).toEqual(['online', 'offline']);
    await lookAtBoth();
    expect(await comings(agent)).toEqual(['online', 'offline']);
  });

  it('without a word may come back, and is lost, once, when it does not', async () => {
    const agent = await start();
    const socket = await there(agent);
    await socket.vanish();
    await until('the instance knows', async () => (await connected(agent)) === 0);
    const [{ seconds }] = await app.sql<{ seconds: number }>(
      `SELECT ceil(extract(epoch FROM due_at - now()))::int AS seconds FROM agent_presences WHERE agent_id = $1`,
      [agent.agent.id],
    );
    expect(seconds).toBeLessThanOrEqual(15);
    const again = await there(agent, other);
    await lookAtBoth();
    expect(await comings(agent)).toEqual(['online']);
    await again.vanish();
    await until('the other instance knows', async () => (await connected(agent)) === 0);
    await timeOut(agent);
    await lookAtBoth();
    expect(await comings(agent)).toEqual(['online', 'lost']);
  });

  it('is there for as long as it says so by POST', async () => {
    const agent = await start();
    const socket = await there(agent);
    await post(agent);
    await socket.close();
    await until('the instance is through with it', async () => {
      await beat(await connect(app, { token: (await start()).token })); // behind the close, on the same way
      return true;
    });
    expect(await comings(agent)).toEqual(['online']);
  });

  it('is lost by the end of its time although the socket is open, when it says nothing over it', async () => {
    const agent = await start();
    const socket = await there(agent);
    await timeOut(agent);
    await lookAtBoth();
    await beat(socket);
    expect(await comings(agent)).toEqual(['online', 'lost', 'online']);
  });
});

describe('An instance that ends', () => {
  const spawn = async (): Promise<[AtriumProcess, { url: string }]> => {
    const variables = { ...testVariables(app.databaseUrl), NODE_ENV: 'development', HOST: '127.0.0.1' };
    const process = await spawnAtrium(variables, compiledPath(join(root, 'src/main.ts')));
    return [process, { url: await process.url() }];
  };

  it('by SIGKILL loses its agents once, but for those that came back, and after a look of the others', async () => {
    const [gone, back, posting] = [await start(), await start(), await start()];
    const [process, third] = await spawn();
    try {
      for (const agent of [gone, back, posting]) await there(agent, third);
      await process.kill();
      await there(back, other);
      await post(posting);
      await lookAtBoth();
      expect(await comings(gone)).toEqual(['online']);
      // As if the time had passed after which a silent instance counts as dead.
      const watcher = await connect(app, { token: owner.token });
      await watcher.join(`agents/${gone.agent.id}`);
      await app.sql(
        `UPDATE instances i SET seen_at = i.seen_at - interval '15 seconds'
         FROM agent_presences p WHERE p.agent_id = $1 AND i.id = ANY (p.connected)`,
        [gone.agent.id],
      );
      // Nobody asks for it: the instances look every 5 seconds.
      const [told] = await watcher.received(`agents/${gone.agent.id}`, 1);
      expect(told.event).toMatchObject({ type: 'agent.lost', data: { id: gone.agent.id, state: 'lost' } });
      await lookAtBoth();
      expect(await comings(gone)).toEqual(['online', 'lost']);
      for (const agent of [back, posting]) expect(await comings(agent)).toEqual(['online']);
    } finally {
      await process.kill();
    }
  });

  it('by SIGTERM gives its agents the time to come back', async () => {
    const agent = await start();
    const third = await app.startSecondInstance();
    const socket = await there(agent, third);
    await third.stop();
    expect((await socket.closed).code).toBe(1012);
    await until('it knows', async () => (await connected(agent)) === 0);
    await there(agent);
    await lookAtBoth();
    expect(await comings(agent)).toEqual(['online']);
  });
});

describe('An agent that is disabled', () => {
  it('loses the socket over which it says that it is there, and is lost in a while', async () => {
    const agent = await start();
    const sockets = [await there(agent), await there(agent, other)];
    await owner.http.post(`/v1/agents/${agent.agent.id}/disable`);
    const closings = await Promise.all(sockets.map(({ closed }) => closed));
    expect(closings.map(({ code }) => code)).toEqual([4003, 4003]);
    await until('both instances know', async () => (await connected(agent)) === 0);
    await timeOut(agent);
    await lookAtBoth();
    expect(await comings(agent)).toEqual(['online', 'lost']);
    expect((await clientCredentials(app, agent.agent)).status).toBe(401);
  });
});
