import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startAgent } from '../support/agents.js';
import { type Instance, startAtrium, testVariables, type TestApp } from '../support/app.js';
import { compiledPath, root } from '../support/native/paths.mjs';
import { addMember, type Person, registerUser } from '../support/people.js';
import { spawnAtrium } from '../support/process.js';
import { closeSockets, connect, connectAndJoin, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';

interface Entry {
  readonly principalId: string;
  readonly kind: string;
  readonly name: string | null;
  readonly connections: number;
  readonly state: object;
}
interface Change {
  readonly room: string;
  readonly joined?: Entry[];
  readonly left?: Entry[];
  readonly updated?: Entry[];
  readonly presence?: Entry[];
}
interface Joined {
  readonly presence: Entry[];
  readonly present: number;
}

let app: TestApp;
let elsewhere: Instance;
let ada: Person;
let grace: Person;
let room: string;
beforeAll(async () => {
  app = await startAtrium();
  elsewhere = await app.startSecondInstance();
});
beforeEach(async () => {
  ada = await registerUser(app, { name: 'Ada' });
  grace = await registerUser(app); // without a name
  await addMember(app, ada.workspaceId, grace, 'viewer');
  room = `workspaces/${ada.workspaceId}`;
});
afterEach(closeSockets);
afterAll(() => app.stop());

const entry = (person: Person, connections = 1, state: object = {}): Entry => ({
  principalId: person.user.id,
  kind: 'user',
  name: person.user.name,
  connections,
  state,
});
const enter = async (at: { url: string }, person: Person): Promise<[SocketClient, Joined]> => {
  const client = await connect(at, { token: person.token });
  const { data } = await client.send<Joined>('join', { room });
  return [client, data];
};
const changes = (client: SocketClient): Change[] =>
  client.frames
    .filter(({ event, id }) => event === 'presence' && id === undefined)
    .map(({ data }) => data as unknown as Change);
const change = (client: SocketClient, what: string, matches: (change: Change) => boolean | undefined) =>
  client.waitFor(what, () => changes(client).find(matches));
/** Who is there, as a client knows it from its answer and from what came since. */
const known = (client: SocketClient, { presence }: Joined): Map<string, Entry> => {
  const entries = new Map(presence.map((one) => [one.principalId, one]));
  for (const { joined = [], updated = [], left = [] } of changes(client)) {
    for (const one of [...joined, ...updated]) entries.set(one.principalId, one);
    for (const { principalId } of left) entries.delete(principalId);
  }
  return entries;
};
const concerns = (entries: Entry[] | undefined, person: Person) =>
  entries?.some(({ principalId }) => principalId === person.user.id);

describe.each([
  ['one instance', () => app],
  ['two instances', () => elsewhere],
])('Presence across %s', (_, other) => {
  it('tells who enters who is there, and the others that somebody came and went', async () => {
    const [first, alone] = await enter(app, ada);
    expect(alone).toMatchObject({ presence: [entry(ada)], present: 1 });
    await until('Ada is seen there', async () => {
      const [client, seen] = await enter(other(), grace);
      await client.close();
      return concerns(seen.presence, ada);
    });
    const [second, both] = await enter(other(), grace);
    expect(both.present).toBe(2);
    expect(both.presence).toHaveLength(2);
    expect(both.presence).toEqual(expect.arrayContaining([entry(ada), entry(grace)]));
    await first.waitFor('Grace came', () => known(first, alone).has(grace.user.id));
    expect(known(first, alone)).toEqual(
      new Map([entry(ada), entry(grace)].map((one) => [one.principalId, one])),
    );

    await second.send('leave', { room });
    await first.waitFor('Grace left', () => !known(first, alone).has(grace.user.id));
    expect(known(first, alone)).toEqual(new Map([[ada.user.id, entry(ada)]]));
  });

  it('has one entry per principal, with the count of its connections', async () => {
    const [first] = await enter(app, ada);
    const [one] = await enter(other(), grace);
    await change(first, 'Grace came', ({ joined }) => concerns(joined, grace));
    const [two, seen] = await enter(other(), grace);
    expect(seen.presence).toContainEqual(entry(grace, 2));
    expect(seen.presence).toHaveLength(2);
    await change(first, 'two', ({ updated }) => updated?.some(({ connections }) => connections === 2));
    await one.vanish();
    await change(first, 'one again', ({ updated }) => updated?.some(({ connections }) => connections === 1));
    await two.close();
    await change(first, 'Grace left', ({ left }) => concerns(left, grace));
    expect(
      changes(first).filter(({ joined, left }) => concerns(joined, grace) || concerns(left, grace)),
    ).toHaveLength(2);
  });

  it('shows a changed state as an update, not as leaving and joining', async () => {
    const [first] = await enter(app, ada);
    const [second] = await enter(other(), grace);
    await change(first, 'Grace came', ({ joined }) => concerns(joined, grace));
    const answer = await second.send('presence', { room, state: { cursor: [3, 4] } });
    expect(answer).toMatchObject({
      event: 'presence',
      data: { updated: [entry(grace, 1, { cursor: [3, 4] })] },
    });
    const told = await change(first, 'the state', ({ updated }) => concerns(updated, grace));
    expect(told).toEqual({ room, joined: [], left: [], updated: [entry(grace, 1, { cursor: [3, 4] })] });
    const [, later] = await enter(app, ada);
    expect(later.presence).toContainEqual(entry(grace, 1, { cursor: [3, 4] }));
  });

  it('shows people and agents by their names, as they are when they enter', async () => {
    const [first] = await enter(app, ada);
    const { agent, token } = await startAgent(app, ada, ['items:read'], { name: 'Press 4' });
    const press = await connectAndJoin(other(), token, room);
    const came = await change(first, 'the agent came', ({ joined }) =>
      joined?.some(({ principalId }) => principalId === agent.id),
    );
    const listed = { principalId: agent.id, kind: 'agent', name: 'Press 4', connections: 1, state: {} };
    expect(came.joined).toContainEqual(listed);
    await grace.http.patch('/v1/me', { name: 'Grace' });
    const [, seen] = await enter(other(), grace);
    expect(seen.presence).toEqual(
      expect.arrayContaining([listed, entry(ada), { ...entry(grace), name: 'Grace' }]),
    );
    await ada.http.patch(`/v1/agents/${agent.id}`, { name: 'Press 5' });
    await press.send('join', { room });
    await change(first, 'its new name', ({ joined, updated }) =>
      [...(joined ?? []), ...(updated ?? [])].some(({ name }) => name === 'Press 5'),
    );
  });

  it('ends for who is removed from the workspace', async () => {
    const [first] = await enter(app, ada);
    const [second] = await enter(other(), grace);
    await change(first, 'Grace came', ({ joined }) => concerns(joined, grace));
    const removed = await ada.http.delete(`/v1/workspaces/${ada.workspaceId}/members/${grace.user.id}`);
    expect(removed.status).toBe(204);
    await second.waitFor('left', () => second.frames.find(({ event }) => event === 'left'));
    await change(first, 'Grace left', ({ left }) => concerns(left, grace));
  });
});

describe('A state', () => {
  it.each([
    ['a text', 'here'],
    ['a list', [1]],
    ['nothing', undefined],
    ['more than 1,024 bytes', { text: 'ä'.repeat(600) }],
  ])('that is %s is refused, and the last one stays', async (_, state) => {
    const [client] = await enter(app, ada);
    await client.send('presence', { room, state: { ok: true } });
    const answer = await client.send('presence', { room, state });
    expect(answer).toMatchObject({
      event: 'error',
      data: { code: 'validation_failed', errors: [{ pointer: '/state' }] },
    });
    const [, seen] = await enter(app, ada);
    expect(seen.presence).toEqual([entry(ada, 2, { ok: true })]);
  });

  it('is told only in rooms that the socket is in', async () => {
    const client = await connect(app, { token: ada.token });
    const answer = await client.send('presence', { room, state: {} });
    expect(answer).toMatchObject({ event: 'error', data: { code: 'not_joined' } });
  });
});

describe('Somebody who joins again on the same socket', () => {
  it('is not seen to leave, and counts once', async () => {
    const [watcher] = await enter(app, ada);
    const [client] = await enter(app, grace);
    await change(watcher, 'Grace came', ({ joined }) => concerns(joined, grace));
    const again = await client.send<Joined>('join', { room });
    expect(again.data.presence).toHaveLength(2);
    await client.send('leave', { room });
    await change(watcher, 'Grace left', ({ left }) => concerns(left, grace));
    expect(changes(watcher).filter(({ left }) => concerns(left, grace))).toHaveLength(1);
  });
});

describe('An instance that ends', () => {
  it('by SIGTERM takes its sockets out of their rooms at once', async () => {
    const third = await app.startSecondInstance();
    const [watcher] = await enter(app, ada);
    await enter(third, grace);
    await change(watcher, 'Grace came', ({ joined }) => concerns(joined, grace));
    await third.stop();
    await change(watcher, 'Grace left', ({ left }) => concerns(left, grace));
  });

  it('by SIGKILL is noticed: nobody stays present who is not', async () => {
    const variables = { ...testVariables(app.databaseUrl), NODE_ENV: 'development', HOST: '127.0.0.1' };
    const process = await spawnAtrium(variables, compiledPath(join(root, 'src/main.ts')));
    try {
      const url = await process.url();
      const watcher = await connectAndJoin(app, ada.token, room);
      await enter({ url }, grace);
      await change(watcher, 'Grace came', ({ joined }) => concerns(joined, grace));
      await process.kill();
      // As if the time had passed after which a silent instance counts as dead.
      await app.sql(
        `UPDATE instances SET seen_at = seen_at - interval '15 seconds' WHERE id IN (
        SELECT instance_id FROM presences WHERE principal_id = $1)`,
        [grace.user.id],
      );
      await watcher.waitFor('Grace left', () => changes(watcher).some(({ left }) => concerns(left, grace)));
      const [, seen] = await enter(elsewhere, ada);
      expect(seen.presence).toEqual([entry(ada, 2)]);
    } finally {
      await process.kill();
    }
  });
});

describe('What the database forgets', () => {
  it('is written again by the instances', async () => {
    const [first] = await enter(app, ada);
    const [second] = await enter(elsewhere, grace);
    await change(first, 'Grace came', ({ joined }) => concerns(joined, grace));
    await app.sql('TRUNCATE instances, presences');
    await second.send('presence', { room, state: { back: true } });
    await first.waitFor('Grace is seen again', () =>
      changes(first).some(({ updated, joined }) =>
        [...(updated ?? []), ...(joined ?? [])].some(({ state }) => 'back' in state),
      ),
    );
  });
});
