import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { lacksScope, type RunningAgent, startAgent } from '../support/agents.js';
import type { TestApp } from '../support/app.js';
import { createRoom } from '../support/custom-rooms.js';
import {
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { routesOf } from '../support/routes.js';
import { sharedAtrium } from '../support/shared-app.js';
import { closeSockets, connect } from '../support/sockets.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let owner: Person;
let workspaceId: string;
let [idle, reader, tasker, writer, talker]: RunningAgent[] = [];
beforeAll(async () => {
  app = await sharedAtrium();
  owner = await registerUser(app);
  ({ id: workspaceId } = await createWorkspace(owner));
  const start = (...scopes: string[]) => startAgent(app, owner, scopes, { workspaceId });
  idle = await start();
  reader = await start('items:read', 'rooms:read', 'agents:read');
  tasker = await start('items:read', 'items:write:type=task', 'items:write:type=a%20b');
  writer = await start('items:read', 'items:write');
  talker = await start('rooms:publish');
});
afterEach(closeSockets);
afterAll(() => app.stop());

const newItem = (type: string) => createItem(owner, { type, workspaceId });
const jsonPatch = { headers: { 'Content-Type': 'application/json-patch+json' } };

describe('A route', () => {
  it('that says nothing of agents refuses them, whatever their scopes', async () => {
    const all = await startAgent(
      app,
      owner,
      ['agents:read', 'credentials', 'items:read', 'items:write', 'leases', 'rooms:publish', 'rooms:read'],
      { workspaceId },
    );
    const closed = routesOf(app.nest).filter(
      ({ access, agents }) => access !== 'public' && access !== undefined && agents === undefined,
    );
    expect(closed.length).toBeGreaterThan(30);
    for (const { method, path } of closed) {
      const answer = await all.http.call(method, path.replaceAll(/:\w+/g, all.agent.id));
      expect([method, path, lacksScope(answer)]).toEqual([method, path, true]);
    }
  });

  it('that names a scope refuses agents without it, and says which one', async () => {
    const open = routesOf(app.nest).filter(({ agents }) => agents?.scope !== undefined);
    expect(open.length).toBeGreaterThan(8);
    for (const { method, path, agents } of open) {
      const answer = await idle.http.call(method, path.replaceAll(/:\w+/g, workspaceId));
      expect([method, path, lacksScope(answer)]).toEqual([method, path, true]);
      expect(answer.headers.get('www-authenticate')).toContain(`scope="${agents?.scope}"`);
    }
  });

  it('of an agent is open to that agent itself', async () => {
    const path = `/v1/agents/${idle.agent.id}`;
    expect((await idle.http.get(path)).status).toBe(200);
    const patched = await idle.http.patch<{ metadata: unknown; updatedBy: string }>(`${path}/metadata`, {
      a: 1,
    });
    expect([patched.status, patched.body.metadata, patched.body.updatedBy]).toEqual([
      200,
      { a: 1 },
      idle.agent.id,
    ]);
    expect(lacksScope(await idle.http.patch(path, { scopes: ['items:read'] }))).toBe(true);
    expect(lacksScope(await idle.http.get(`/v1/agents/${reader.agent.id}`))).toBe(true);
    expect(lacksScope(await reader.http.patch(`${path}/metadata`, { a: 2 }))).toBe(true);
    expect((await reader.http.get(path)).status).toBe(200);
    expect((await reader.http.get<PageAnswer<unknown>>('/v1/agents')).body.data.length).toBeGreaterThan(3);
  });
});

describe('items:read', () => {
  it('reads the items of its own workspace, without naming it, and of no other', async () => {
    const { id } = await newItem('task');
    const foreign = await createItem(owner);
    expect((await reader.http.get(`/v1/items/${id}`)).status).toBe(200);
    const { body } = await reader.http.get<PageAnswer<ItemAnswer>>('/v1/items?filter[type]=task');
    expect(body.data.map((item) => item.id)).toContain(id);
    expect((await reader.http.get(`/v1/items/${foreign.id}`)).status).toBe(404);
    expect((await reader.http.get(`/v1/items?workspaceId=${owner.workspaceId}`)).status).toBe(404);
    expect(lacksScope(await reader.http.patch(`/v1/items/${id}`, { title: 'x' }))).toBe(true);
  });
});

describe('items:write', () => {
  it('writes every type, into its own workspace unless told otherwise, in its own name', async () => {
    const made = await writer.http.post<ItemAnswer>('/v1/items', {
      title: 'By a machine',
      type: 'any',
      data: {},
    });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ workspaceId, createdBy: writer.agent.id, updatedBy: writer.agent.id });
    const theirs = await newItem('task');
    const changed = await writer.http.patch<ItemAnswer>(`/v1/items/${theirs.id}`, { type: 'other' });
    expect(changed.body).toMatchObject({
      createdBy: owner.user.id,
      updatedBy: writer.agent.id,
      type: 'other',
    });
    const events = await app.sql<{ principal_id: string }>(
      `SELECT principal_id FROM events WHERE subject = $1 ORDER BY seq`,
      [`items/${theirs.id}`],
    );
    expect(events.map((event) => event.principal_id)).toEqual([owner.user.id, writer.agent.id]);
    const request = { title: 't', type: 't', data: {}, workspaceId: owner.workspaceId };
    expect((await writer.http.post('/v1/items', request)).status).toBe(404);
  });
});

describe('items:write of one type', () => {
  const item = (type: string) => ({ title: 'New', type, data: {} });

  it('creates, changes and deletes items of that type', async () => {
    for (const type of ['task', 'a b']) {
      const { status, body } = await tasker.http.post<ItemAnswer>('/v1/items', item(type));
      expect(status).toBe(201);
      const path = `/v1/items/${body.id}`;
      expect((await tasker.http.patch(path, { title: 'x' })).status).toBe(200);
      expect(
        (await tasker.http.patch(path, [{ op: 'add', path: '/data/n', value: 1 }], jsonPatch)).status,
      ).toBe(200);
      expect((await tasker.http.delete(path)).status).toBe(204);
    }
  });

  it('refuses every other type, before and after the change, by every way of writing, and writes nothing', async () => {
    const [task, note] = [await newItem('task'), await newItem('note')];
    const batch = (...operations: unknown[]) => tasker.http.post('/v1/items/batch', { operations });
    const refused = [
      await tasker.http.post('/v1/items', item('note')),
      await tasker.http.patch(`/v1/items/${note.id}`, { title: 'x' }),
      await tasker.http.patch(`/v1/items/${note.id}`, { type: 'task' }),
      await tasker.http.patch(`/v1/items/${task.id}`, { type: 'note' }),
      await tasker.http.patch(
        `/v1/items/${note.id}`,
        [{ op: 'replace', path: '/type', value: 'task' }],
        jsonPatch,
      ),
      await tasker.http.patch(
        `/v1/items/${task.id}`,
        [{ op: 'replace', path: '/type', value: 'note' }],
        jsonPatch,
      ),
      await tasker.http.delete(`/v1/items/${note.id}`),
    ];
    expect(refused.map(lacksScope)).toEqual(refused.map(() => true));
    const batches = [
      await batch({ op: 'create', item: item('task') }, { op: 'create', item: item('note') }),
      await batch({ op: 'update', id: task.id, patch: { title: 'x' } }, { op: 'delete', id: note.id }),
      await batch({ op: 'update', id: task.id, patch: { type: 'note' } }),
      await batch({ op: 'update', id: task.id, patch: [{ op: 'replace', path: '/type', value: 'note' }] }),
      await batch({ op: 'update', id: note.id, patch: { type: 'task' } }),
    ];
    expect(batches.map(({ status, body }) => [status, body.code])).toEqual(
      batches.map(() => [403, 'insufficient_scope']),
    );
    for (const { id } of [task, note])
      expect((await owner.http.get<ItemAnswer>(`/v1/items/${id}`)).body.version).toBe(1);
    const batched = await batch(
      { op: 'create', item: item('task') },
      { op: 'update', id: task.id, patch: { title: 'x' } },
    );
    expect(batched.status).toBe(200);
  });

  it('holds for what comes back from the trash, or from an older version', async () => {
    const [task, note, turned] = [await newItem('task'), await newItem('note'), await newItem('note')];
    await owner.http.patch(`/v1/items/${turned.id}`, { type: 'task' });
    await owner.http.delete(`/v1/items/${task.id}`);
    await owner.http.delete(`/v1/items/${note.id}`);
    expect(lacksScope(await tasker.http.post(`/v1/items/${note.id}/restore`))).toBe(true);
    expect(lacksScope(await tasker.http.post(`/v1/items/${turned.id}/restore`, { version: 1 }))).toBe(true);
    expect((await owner.http.get(`/v1/items/${note.id}`)).status).toBe(404);
    const restored = await tasker.http.post<ItemAnswer>(`/v1/items/${task.id}/restore`);
    expect([restored.status, restored.body.updatedBy]).toEqual([200, tasker.agent.id]);
    const trash = await tasker.http.get<PageAnswer<ItemAnswer>>('/v1/items/trash');
    expect(trash.body.data.map(({ id }) => id)).toContain(note.id);
  });

  it('holds where many writes share a statement', async () => {
    const [task, note] = [await newItem('task'), await newItem('note')];
    const answers = await Promise.all([
      tasker.http.patch(`/v1/items/${task.id}`, { data: { n: 1 } }),
      tasker.http.patch(`/v1/items/${note.id}`, { data: { n: 1 } }),
      writer.http.patch(`/v1/items/${note.id}`, { data: { n: 2 } }),
      tasker.http.post('/v1/items', item('note')),
      writer.http.post('/v1/items', item('note')),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 403, 200, 403, 201]);
  });
});

describe('In rooms, an agent', () => {
  it('joins what its scopes let it read, over sockets and over HTTP', async () => {
    const { id } = await newItem('task');
    const room = await createRoom(owner, { visibility: 'public', workspaceId });
    const names = [
      `items/${id}`,
      `workspaces/${workspaceId}`,
      `rooms/${room.id}`,
      `agents/${writer.agent.id}`,
    ];
    const tries = async ({ token, http }: RunningAgent) => {
      const socket = await connect(app, { token });
      const joined = [];
      for (const name of names) {
        const { event, data } = await socket.send('join', { room: name });
        const read = await http.get(`/v1/events?room=${name}`);
        expect(read.status).toBe(event === 'joined' ? 200 : 403);
        joined.push(event === 'joined' ? true : data['code']);
      }
      return joined;
    };
    const no = 'insufficient_scope';
    expect(await tries(reader)).toEqual([true, true, true, true]);
    expect(await tries(writer)).toEqual([true, true, no, true]);
    expect(await tries(tasker)).toEqual([true, true, no, no]);
    expect(await tries(talker)).toEqual([no, no, no, no]);
  });

  it('speaks with rooms:publish and not without, kept or not, over sockets and over HTTP, in its own name', async () => {
    const room = await createRoom(owner, { visibility: 'public', workspaceId });
    const name = `rooms/${room.id}`;
    const listener = await connect(app, { token: owner.token });
    await listener.join(name);
    const speak = async ({ token, http }: RunningAgent) => {
      const socket = await connect(app, { token });
      const said = [
        await socket.send('publish', { room: name, type: 'note', data: 1 }),
        await socket.send('publish', { room: name, type: 'note', data: 2, durable: false }),
      ];
      const posted = await http.post(`/v1/rooms/${room.id}/messages`, { type: 'note', data: 3 });
      return [...said.map(({ event, data }) => (event === 'error' ? data['code'] : event)), posted.status];
    };
    expect(await speak(reader)).toEqual(['insufficient_scope', 'insufficient_scope', 403]);
    expect(await speak(talker)).toEqual(['published', 'published', 201]);
    const heard = await listener.received(name, 3);
    expect(new Set(heard.map(({ event }) => event.principal))).toEqual(new Set([talker.agent.id]));
  });

  it('is there as an agent, for those who look', async () => {
    const { id } = await newItem('task');
    const watcher = await connect(app, { token: owner.token });
    await watcher.join(`items/${id}`);
    const socket = await connect(app, { token: reader.token });
    await socket.join(`items/${id}`);
    const told = await watcher.waitFor('who came', () =>
      watcher.frames.find(({ event }) => event === 'presence'),
    );
    expect(told.data['joined']).toEqual([
      { principalId: reader.agent.id, kind: 'agent', name: 'A worker', connections: 1, state: {} },
    ]);
  });

  it('hears what is said in a private room only as its member', async () => {
    const room = await createRoom(owner, { visibility: 'private', workspaceId });
    const socket = await connect(app, { token: reader.token });
    expect((await socket.send('join', { room: `rooms/${room.id}` })).data['code']).toBe('not_found');
    await owner.http.post(`/v1/rooms/${room.id}/members`, { principalId: reader.agent.id, role: 'listener' });
    expect((await socket.send('join', { room: `rooms/${room.id}` })).event).toBe('joined');
  });
});

describe('A scope that is taken away', () => {
  it('ends the tokens that name it at once, and new ones come without it', async () => {
    const { agent, http } = await startAgent(app, owner, ['items:read', 'items:write'], { workspaceId });
    await owner.http.patch(`/v1/agents/${agent.id}`, { scopes: ['items:read'] });
    expect((await http.get('/v1/items')).status).toBe(401);
  });
});
