import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { clientCredentials, createAgent, type RunningAgent, startAgent } from '../support/agents.js';
import type { Instance, TestApp } from '../support/app.js';
import { createRoom } from '../support/custom-rooms.js';
import { http } from '../support/http.js';
import { createItem, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';
import { until } from '../support/until.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let second: Instance;
let owner: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  second = await sharedSecondInstance();
  owner = await registerUser(app);
});
afterEach(closeSockets);
afterAll(() => app.stop());

/** An agent with a socket at each instance, in its workspace's room. */
async function atBoth(): Promise<RunningAgent & { sockets: Awaited<ReturnType<typeof connectAndJoin>>[] }> {
  const { id: workspaceId } = await createWorkspace(owner);
  const running = await startAgent(app, owner, ['items:read', 'items:write'], { workspaceId });
  const room = `workspaces/${workspaceId}`;
  const sockets = [
    await connectAndJoin(app, running.token, room),
    await connectAndJoin(second, running.token, room),
  ];
  return { ...running, sockets };
}

/** That the token is refused everywhere, at the instance that was asked at once, and the sockets close with 4003. */
async function isGone({ token, sockets }: Awaited<ReturnType<typeof atBoth>>): Promise<void> {
  const here = await http(app, token).get('/v1/items');
  expect([here.status, here.body.code]).toEqual([401, 'session_revoked']);
  const closings = await Promise.all(sockets.map(({ closed }) => closed));
  expect(closings.map(({ code }) => code)).toEqual([4003, 4003]);
  await until('the other instance refuses the token', async () => {
    const { status } = await http(second, token).get('/v1/items');
    return status === 401;
  });
}

describe('An agent that is disabled', () => {
  it('loses tokens and sockets at every instance, and gets no others until it is enabled', async () => {
    const running = await atBoth();
    const path = `/v1/agents/${running.agent.id}`;
    expect((await owner.http.post(`${path}/disable`)).status).toBe(200);
    await isGone(running);
    const refused = await clientCredentials(second, running.agent);
    expect([refused.status, refused.body.error]).toEqual([401, 'invalid_client']);
    expect((await owner.http.post(`${path}/enable`)).status).toBe(200);
    const { body } = await clientCredentials(second, running.agent);
    for (const instance of [app, second])
      expect((await http(instance, body.access_token).get('/v1/items')).status).toBe(200);
    expect((await http(app, running.token).get('/v1/items')).status).toBe(401);
  });

  it('hears nothing from that event on, and writes nothing after it', async () => {
    const running = await atBoth();
    const { workspaceId, id } = running.agent;
    const item = await createItem(owner, { workspaceId });
    // As many as fit: some before, some after, none in the wrong place.
    const writes = Array.from({ length: 30 }, (_, n) =>
      http(n % 2 ? app : second, running.token).patch(`/v1/items/${item.id}`, { data: { n } }),
    );
    const disabled = owner.http.patch<{ version: number }>(`/v1/agents/${id}`, { status: 'disabled' });
    await Promise.all([...writes, disabled]);
    await isGone(running);
    const events = await app.sql<{ type: string; principal_id: string; seq: string }>(
      `SELECT type, principal_id, seq FROM events WHERE stream_id = $1 ORDER BY seq`,
      [workspaceId],
    );
    const end = events.findIndex(({ type }) => type === 'agent.disabled');
    expect(events.slice(end).filter((event) => event.principal_id === id)).toEqual([]);
    for (const socket of running.sockets) {
      const heard = socket.events(`workspaces/${workspaceId}`).map(({ event }) => event.type);
      expect(heard).not.toContain('agent.disabled');
    }
  });
});

describe('An agent that is deleted', () => {
  it('loses tokens and sockets at every instance', async () => {
    const running = await atBoth();
    expect((await owner.http.delete(`/v1/agents/${running.agent.id}`)).status).toBe(204);
    await isGone(running);
    expect((await clientCredentials(app, running.agent)).status).toBe(401);
  });

  it('is what becomes of it when its workspace is deleted', async () => {
    const running = await atBoth();
    const { workspaceId } = running.agent;
    expect((await owner.http.delete(`/v1/workspaces/${workspaceId}?confirm=Team`)).status).toBe(204);
    const closings = await Promise.all(running.sockets.map(({ closed }) => closed));
    expect(closings.map(({ code }) => code)).toEqual([4003, 4003]);
    expect((await clientCredentials(app, running.agent)).status).toBe(401);
  });
});

describe('A token of an agent', () => {
  it('ends no session of anybody, its own neither, by the ways of people', async () => {
    const running = await startAgent(app, owner, ['items:read']);
    for (const path of ['/v1/auth/logout', '/v1/auth/logout-all'])
      expect((await running.http.post(path)).status).toBe(403);
    expect((await running.http.get('/v1/items')).status).toBe(200);
  });
});

describe('An agent that is in a room', () => {
  it('is listed there by its name, leaves it when it is deleted, and the room is told', async () => {
    const { id: workspaceId } = await createWorkspace(owner);
    const { id } = await createAgent(owner, { workspaceId });
    const room = await createRoom(owner, { visibility: 'private', workspaceId });
    const members = `/v1/rooms/${room.id}/members`;
    await owner.http.post(members, { principalId: id, role: 'speaker' });
    const before = await owner.http.get<PageAnswer<{ principalId: string }>>(members);
    expect(before.body.data.find(({ principalId }) => principalId === id)).toMatchObject({
      kind: 'agent',
      name: 'A worker',
      email: null,
      role: 'speaker',
    });
    const socket = await connectAndJoin(app, owner.token, `rooms/${room.id}`);
    expect((await owner.http.delete(`/v1/agents/${id}`)).status).toBe(204);
    const [{ event }] = await socket.received(`rooms/${room.id}`, 1);
    expect([event.type, event.data['principalId']]).toEqual(['room.member_removed', id]);
    const left = await owner.http.get<PageAnswer<{ principalId: string }>>(members);
    expect(left.body.data.map(({ principalId }) => principalId)).toEqual([owner.user.id]);
  });
});
