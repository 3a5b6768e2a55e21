import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type AgentAnswer, createAgent } from '../support/agents.js';
import type { TestApp } from '../support/app.js';
import { type Person, type PageAnswer, addMember, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { closeSockets, connect } from '../support/sockets.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let [owner, member, stranger]: Person[] = [];
let workspaceId: string;
beforeAll(async () => {
  app = await sharedAtrium();
  [owner, member, stranger] = [await registerUser(app), await registerUser(app), await registerUser(app)];
  ({ id: workspaceId } = await createWorkspace(owner));
  await addMember(app, workspaceId, member, 'member');
});
afterEach(closeSockets);
afterAll(() => app.stop());

const jsonPatch = { headers: { 'Content-Type': 'application/json-patch+json' } };

describe('An agent', () => {
  it('is made with what it is, and its secret is shown this once, to no cache', async () => {
    const request = {
      name: 'Press 4',
      kind: 'press',
      labels: { region: 'eu', zone: 'a' },
      metadata: { firmware: { version: 3 } },
      capabilities: ['print:a3'],
      scopes: ['items:read', 'items:write:type=task'],
      workspaceId,
    };
    const made = await owner.http.post<AgentAnswer & { clientSecret?: string }>('/v1/agents', request);
    expect(made.status).toBe(201);
    expect(made.headers.get('cache-control')).toBe('no-store');
    expect(made.headers.get('location')).toBe(`/v1/agents/${made.body.id}`);
    expect(made.headers.get('etag')).toBe('"1"');
    const { clientSecret, ...agent } = made.body;
    expect(clientSecret).toMatch(/^ats_[\w-]{43}$/);
    expect(agent).toEqual({
      ...request,
      id: agent.id,
      clientId: agent.id,
      status: 'enabled',
      lastSeenAt: null,
      version: 1,
      createdAt: agent.createdAt,
      createdBy: owner.user.id,
      updatedAt: agent.createdAt,
      updatedBy: owner.user.id,
    });
    const read = await member.http.get<AgentAnswer>(`/v1/agents/${agent.id}`);
    expect(read.body).toEqual(agent);
    expect(read.headers.get('etag')).toBe('"1"');
    const again = { headers: { 'If-None-Match': '"1"' } };
    expect((await member.http.get(`/v1/agents/${agent.id}`, again)).status).toBe(304);
  });

  it('is managed by owners and admins, seen by members, and to strangers does not exist', async () => {
    const { id } = await createAgent(owner, { workspaceId });
    const tries = (person: Person) =>
      Promise.all([
        person.http.post('/v1/agents', { name: 'x', kind: 'y', workspaceId }),
        person.http.patch(`/v1/agents/${id}`, { name: 'Mine' }),
        person.http.patch(`/v1/agents/${id}/metadata`, { a: 1 }),
        person.http.post(`/v1/agents/${id}/disable`),
        person.http.delete(`/v1/agents/${id}`),
      ]).then((answers) => answers.map(({ status }) => status));
    expect(await tries(member)).toEqual([403, 403, 403, 403, 403]);
    expect(await tries(stranger)).toEqual([404, 404, 404, 404, 404]);
    expect((await stranger.http.get(`/v1/agents/${id}`)).status).toBe(404);
    expect((await stranger.http.get(`/v1/agents?workspaceId=${workspaceId}`)).status).toBe(404);
    expect((await owner.http.get<AgentAnswer>(`/v1/agents/${id}`)).body.version).toBe(1);
  });

  it('is no member that people list, promote or remove', async () => {
    const { id } = await createAgent(owner, { workspaceId });
    const members = `/v1/workspaces/${workspaceId}/members`;
    const { body } = await owner.http.get<PageAnswer<{ principalId: string }>>(`${members}?limit=100`);
    expect(body.data.map(({ principalId }) => principalId)).not.toContain(id);
    expect((await owner.http.patch(`${members}/${id}`, { role: 'owner' })).status).toBe(404);
    expect((await owner.http.delete(`${members}/${id}`)).status).toBe(404);
    expect((await owner.http.patch(`${members}/${member.user.id}`, { role: 'agent' })).status).toBe(400);
  });

  it('is refused with a pointer to what is wrong', async () => {
    const request = {
      name: 'two\nlines',
      kind: 'no blanks',
      labels: { 'a b': 'c', d: 1 },
      metadata: [],
      capabilities: ['x', 'x'],
      scopes: ['items:everything', 'items:write:type=%zz'],
    };
    const { status, body } = await owner.http.post('/v1/agents', request);
    expect(status).toBe(400);
    expect(body.errors?.map(({ pointer }) => pointer)).toEqual([
      '/name',
      '/kind',
      '/labels',
      '/metadata',
      '/capabilities',
      '/scopes',
    ]);
  });

  it('is gone after it was deleted, its membership too', async () => {
    const { id } = await createAgent(owner, { workspaceId });
    expect((await owner.http.delete(`/v1/agents/${id}`, { headers: { 'If-Match': '"7"' } })).status).toBe(
      412,
    );
    expect((await owner.http.delete(`/v1/agents/${id}`)).status).toBe(204);
    expect((await owner.http.get(`/v1/agents/${id}`)).status).toBe(404);
    const left = await app.sql(
      `SELECT 1 FROM memberships WHERE principal_id = $1 UNION ALL SELECT 1 FROM agent_credentials WHERE agent_id = $1`,
      [id],
    );
    expect(left).toEqual([]);
  });
});

describe('Changes of an agent', () => {
  it('merge, each with a version of its own, and start from the version that If-Match names', async () => {
    const { id } = await createAgent(owner, {
      workspaceId,
      labels: { region: 'eu', zone: 'a' },
      metadata: { a: { b: 1, c: 2 } },
    });
    const path = `/v1/agents/${id}`;
    const first = await owner.http.patch<AgentAnswer>(path, {
      name: 'New',
      labels: { zone: null, rack: '7' },
      metadata: { a: { b: null, d: 3 } },
    });
    expect(first.body).toMatchObject({
      name: 'New',
      kind: 'worker',
      labels: { region: 'eu', rack: '7' },
      metadata: { a: { c: 2, d: 3 } },
      version: 2,
    });
    const stale = await owner.http.patch(path, { name: 'Late' }, { headers: { 'If-Match': '"1"' } });
    expect([stale.status, stale.headers.get('etag')]).toEqual([412, '"2"']);
    const good = await owner.http.patch<AgentAnswer>(
      path,
      { name: 'In time' },
      { headers: { 'If-Match': '"2"' } },
    );
    expect([good.status, good.headers.get('etag'), good.body.name]).toEqual([200, '"3"', 'In time']);
  });

  it('take a JSON Patch whole or not at all', async () => {
    const { id } = await createAgent(owner, { workspaceId, metadata: { list: [1] } });
    const path = `/v1/agents/${id}`;
    const patch = (steps: unknown, to = path) => owner.http.patch(to, steps, jsonPatch);
    const failed = await patch([
      { op: 'replace', path: '/name', value: 'Half' },
      { op: 'test', path: '/metadata/list/0', value: 2 },
    ]);
    expect([failed.status, failed.body.code]).toEqual([409, 'patch_test_failed']);
    const none = await patch([{ op: 'replace', path: '/kind', value: 'no blanks' }]);
    expect([none.status, none.body.code]).toEqual([422, 'patch_result_refused']);
    const id2 = await patch([{ op: 'add', path: '/id', value: 'x' }]);
    expect([id2.status, id2.body.code]).toEqual([422, 'patch_result_refused']);
    expect((await owner.http.get<AgentAnswer>(path)).body).toMatchObject({ name: 'A worker', version: 1 });
    const done = await owner.http.patch<AgentAnswer>(
      path,
      [{ op: 'add', path: '/metadata/list/-', value: 2 }],
      jsonPatch,
    );
    expect(done.body).toMatchObject({ metadata: { list: [1, 2] }, version: 2 });
  });

  it('set capabilities as they set everything else: checked, bounded, atomic, with a version', async () => {
    const { id } = await createAgent(owner, { workspaceId, capabilities: ['print:a4'] });
    const path = `/v1/agents/${id}`;
    const merged = await owner.http.patch<AgentAnswer>(path, { capabilities: ['print:a3', 'gpu'] });
    expect(merged.body).toMatchObject({ capabilities: ['print:a3', 'gpu'], version: 2 });
    const steps = [
      { op: 'test', path: '/capabilities/1', value: 'gpu' },
      { op: 'add', path: '/capabilities/-', value: 'cuda:12' },
      { op: 'remove', path: '/capabilities/0' },
    ];
    const stepped = await owner.http.patch<AgentAnswer>(path, steps, jsonPatch);
    expect(stepped.body).toMatchObject({ capabilities: ['gpu', 'cuda:12'], version: 3 });
    const many = Array.from({ length: 65 }, (_, n) => `c${n}`);
    for (const wrong of [null, 'gpu', [1], [''], ['a b'], ['gpu', 'gpu'], ['x'.repeat(101)], many]) {
      const plain = await owner.http.patch(path, { capabilities: wrong });
      expect([plain.status, plain.body.errors?.[0]?.pointer]).toEqual([400, '/capabilities']);
      const replaced = [{ op: 'replace', path: '/capabilities', value: wrong }];
      const step = await owner.http.patch(path, replaced, jsonPatch);
      expect([step.status, step.body.errors?.[0]?.pointer]).toEqual([422, '/capabilities']);
    }
    const twice = [{ op: 'add', path: '/capabilities/-', value: 'gpu' }];
    expect((await owner.http.patch(path, twice, jsonPatch)).status).toBe(422);
    const stale = { headers: { ...jsonPatch.headers, 'If-Match': '"2"' } };
    expect((await owner.http.patch(path, steps.slice(2), stale)).status).toBe(412);
    expect((await owner.http.get<AgentAnswer>(path)).body).toMatchObject({
      capabilities: ['gpu', 'cuda:12'],
      version: 3,
    });
    const emptied = await owner.http.patch<AgentAnswer>(path, { capabilities: [] });
    expect(emptied.body).toMatchObject({ capabilities: [], version: 4 });
  });

  it('of the metadata alone lose nothing, however many come at once', async () => {
    const { id } = await createAgent(owner, { workspaceId, metadata: { kept: true } });
    const path = `/v1/agents/${id}/metadata`;
    const merged = Array.from({ length: 8 }, (_, n) =>
      owner.http.patch(path, { [`m${n}`]: n, nested: { [n]: n } }),
    );
    const patched = Array.from({ length: 8 }, (_, n) =>
      owner.http.patch(path, [{ op: 'add', path: `/p${n}`, value: n }], jsonPatch),
    );
    const answers = await Promise.all([...merged, ...patched]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const { body } = await owner.http.get<AgentAnswer>(`/v1/agents/${id}`);
    expect(body.version).toBe(17);
    expect(Object.keys(body.metadata)).toHaveLength(18);
    expect(Object.keys(body.metadata['nested'] as object)).toHaveLength(8);
    const gone = await owner.http.patch<AgentAnswer>(path, { nested: null });
    expect(gone.body.metadata).not.toHaveProperty('nested');
    expect((await owner.http.patch(path, [1])).status).toBe(400);
    const large = await owner.http.patch(path, { text: 'x'.repeat(70_000) });
    expect([large.status, large.body.code]).toEqual([422, 'patch_result_refused']);
  });

  it('are events of the workspace and of its own room, with the record and never with a secret', async () => {
    const socket = await connect(app, { token: member.token });
    const room = `workspaces/${workspaceId}`;
    await socket.join(room);
    const { id, clientSecret } = await createAgent(owner, { workspaceId });
    const own = await connect(app, { token: member.token });
    await own.join(`agents/${id}`);
    await owner.http.patch(`/v1/agents/${id}`, { name: 'New' });
    await owner.http.post(`/v1/agents/${id}/disable`);
    await owner.http.post(`/v1/agents/${id}/enable`);
    const last = await owner.http.delete(`/v1/agents/${id}`);
    const events = (await socket.received(room, 5)).map(({ event }) => event);
    expect(events.map(({ type, data }) => [type, data['version'], data['status']])).toEqual([
      ['agent.created', 1, 'enabled'],
      ['agent.updated', 2, 'enabled'],
      ['agent.disabled', 3, 'disabled'],
      ['agent.enabled', 4, 'enabled'],
      ['agent.deleted', 5, 'enabled'],
    ]);
    for (const { subject, principal } of events) {
      expect([subject, principal]).toEqual([`agents/${id}`, owner.user.id]);
    }
    const heard = await own.received(`agents/${id}`, 4);
    expect(heard.at(-1)?.cursor).toBe(last.headers.get('stream-cursor'));
    expect(JSON.stringify(socket.frames)).not.toContain(clientSecret);
    const rows = await app.sql<{ text: string }>(
      `SELECT (SELECT string_agg(e::text, '') FROM events e) || (SELECT string_agg(a::text, '') FROM audit_entries a) AS text`,
    );
    expect(rows[0]?.text).not.toContain(clientSecret);
    const audit = await owner.http.get<PageAnswer<{ action: string; detail: { agentId?: string } }>>(
      `/v1/workspaces/${workspaceId}/audit?limit=100`,
    );
    const actions = audit.body.data.filter(({ detail }) => detail.agentId === id).map(({ action }) => action);
    expect(actions).toEqual(['agent.deleted', 'agent.enabled', 'agent.disabled', 'agent.created']);
  });
});

describe('The list of agents', () => {
  it('goes page by page, newest first, by kind, status and labels', async () => {
    const { id: own } = await createWorkspace(owner);
    const made: string[] = [];
    for (let n = 0; n < 5; n++) {
      const { id } = await createAgent(owner, {
        workspaceId: own,
        kind: n % 2 ? 'odd' : 'even',
        labels: { n: String(n), region: n < 3 ? 'eu' : 'us' },
      });
      made.unshift(id);
    }
    await owner.http.patch(`/v1/agents/${made[0]}`, { status: 'disabled' });
    const list = async (query: string) =>
      (await owner.http.get<PageAnswer<AgentAnswer>>(`/v1/agents?workspaceId=${own}${query}`)).body;
    const ids = async (query: string) => (await list(query)).data.map(({ id }) => made.indexOf(id));
    const first = await list('&limit=2');
    expect(first.data.map(({ id }) => made.indexOf(id))).toEqual([0, 1]);
    const second = await list(`&limit=2&cursor=${first.nextCursor}`);
    expect(second.data.map(({ id }) => made.indexOf(id))).toEqual([2, 3]);
    const third = await list(`&limit=2&cursor=${second.nextCursor}`);
    expect([third.data.map(({ id }) => made.indexOf(id)), third.nextCursor]).toEqual([[4], null]);
    expect(await ids('&kind=odd')).toEqual([1, 3]);
    expect(await ids('&status=disabled')).toEqual([0]);
    expect(await ids('&labels=region=eu')).toEqual([2, 3, 4]);
    expect(await ids('&labels=region=eu,n=1')).toEqual([3]);
    expect(await ids('&labels=region=mars')).toEqual([]);
    const refused = await owner.http.get(`/v1/agents?workspaceId=${own}&labels=region`);
    expect(refused.body.errors?.[0]?.pointer).toBe('/labels');
  });
});
