import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createAgent } from '../support/agents.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { addToRoom, createRoom } from '../support/custom-rooms.js';
import type { Answer, ProblemAnswer } from '../support/http.js';
import { addMember, createItem, type Person, registerUser, type PageAnswer } from '../support/people.js';
import { routesOf } from '../support/routes.js';
import { closeSockets, connect } from '../support/sockets.js';
import { createWorkspace, type InvitationAnswer, type WorkspaceAnswer } from '../support/workspaces.js';

const ROLES = ['viewer', 'member', 'admin', 'owner'];

/** What a route may be about. */
interface Ids {
  readonly workspace: string;
  readonly member: string;
  readonly invitation: string;
  readonly item: string;
  /** An item in the trash. */
  readonly deleted: string;
  /** An import whose upload has begun. */
  readonly import: string;
  /** A public one; of its members only the owner moderates it. */
  readonly room: string;
  readonly agent: string;
  /** Held by an agent. */
  readonly lease: string;
  readonly credential: string;
  readonly enrolmentToken: string;
}

/** A route with a request that would do, and the roles that it is for. */
interface Case {
  readonly route: string;
  readonly roles: readonly string[];
  readonly path: (ids: Ids) => string;
  readonly json?: (ids: Ids) => unknown;
  /** That a second one is refused. */
  readonly spends?: true;
  /** A body that is not JSON. */
  readonly upload?: { readonly raw: string; readonly headers: Record<string, string> };
}

const [ALL, WRITERS, ADMINS, OWNERS] = [0, 1, 2, 3].map((from) => ROLES.slice(from));
const members = ({ workspace }: Ids) => `/v1/workspaces/${workspace}/members`;
const invitations = ({ workspace }: Ids) => `/v1/workspaces/${workspace}/invitations`;
const item = (ids: Ids) => `/v1/items/${ids.item}`;
const importOf = (ids: Ids) => `/v1/items/imports/${ids.import}`;
const room = (ids: Ids) => `/v1/rooms/${ids.room}`;
const agent = (ids: Ids) => `/v1/agents/${ids.agent}`;
const secrets = (ids: Ids) => `${agent(ids)}/secrets`;
const roomMember = (ids: Ids) => `${room(ids)}/members/${ids.member}`;

const CASES: Case[] = [
  { route: 'GET /v1/workspaces/:id', roles: ALL, path: (ids) => `/v1/workspaces/${ids.workspace}` },
  {
    route: 'PATCH /v1/workspaces/:id',
    roles: OWNERS,
    path: (ids) => `/v1/workspaces/${ids.workspace}`,
    json: () => ({ name: 'New' }),
  },
  {
    route: 'DELETE /v1/workspaces/:id',
    roles: OWNERS,
    path: (ids) => `/v1/workspaces/${ids.workspace}?confirm=Team`,
  },
  { route: 'GET /v1/workspaces/:id/members', roles: ALL, path: members },
  {
    route: 'PATCH /v1/workspaces/:id/members/:principalId',
    roles: ADMINS,
    path: (ids) => `${members(ids)}/${ids.member}`,
    json: () => ({ role: 'viewer' }),
  },
  {
    route: 'DELETE /v1/workspaces/:id/members/:principalId',
    roles: ADMINS,
    path: (ids) => `${members(ids)}/${ids.member}`,
  },
  {
    route: 'POST /v1/workspaces/:id/invitations',
    roles: ADMINS,
    path: invitations,
    json: () => ({ email: 'new@example.com', role: 'viewer' }),
  },
  { route: 'GET /v1/workspaces/:id/invitations', roles: ADMINS, path: invitations },
  {
    route: 'DELETE /v1/workspaces/:id/invitations/:invitationId',
    roles: ADMINS,
    path: (ids) => `${invitations(ids)}/${ids.invitation}`,
  },
  {
    route: 'POST /v1/items',
    roles: WRITERS,
    path: () => '/v1/items',
    json: ({ workspace: workspaceId }) => ({ title: 't', type: 't', data: {}, workspaceId }),
  },
  {
    route: 'POST /v1/items/batch',
    roles: WRITERS,
    path: () => '/v1/items/batch',
    json: (ids) => ({ operations: [{ op: 'update', id: ids.item, patch: { title: 'x' } }] }),
  },
  { route: 'GET /v1/items', roles: ALL, path: (ids) => `/v1/items?workspaceId=${ids.workspace}` },
  { route: 'GET /v1/items/:id', roles: ALL, path: item },
  { route: 'PATCH /v1/items/:id', roles: WRITERS, path: item, json: () => ({ title: 'x' }) },
  { route: 'DELETE /v1/items/:id', roles: WRITERS, path: item },
  { route: 'GET /v1/items/trash', roles: ALL, path: (ids) => `/v1/items/trash?workspaceId=${ids.workspace}` },
  { route: 'POST /v1/items/:id/restore', roles: WRITERS, path: (ids) => `/v1/items/${ids.deleted}/restore` },
  { route: 'DELETE /v1/items/trash/:id', roles: ADMINS, path: (ids) => `/v1/items/trash/${ids.deleted}` },
  { route: 'GET /v1/items/:id/history', roles: ALL, path: (ids) => `/v1/items/${ids.deleted}/history` },
  {
    route: 'GET /v1/items/:id/history/:version',
    roles: ALL,
    path: (ids) => `${item(ids)}/history/1`,
  },
  {
    route: 'GET /v1/items/export',
    roles: ALL,
    path: (ids) => `/v1/items/export?workspaceId=${ids.workspace}`,
  },
  {
    route: 'POST /v1/items/import',
    roles: WRITERS,
    path: (ids) => `/v1/items/import?workspaceId=${ids.workspace}`,
    upload: { raw: '', headers: { 'Content-Type': 'application/x-ndjson' } },
  },
  { route: 'HEAD /v1/items/imports/:id', roles: ALL, path: importOf },
  { route: 'GET /v1/items/imports/:id', roles: ALL, path: importOf },
  { route: 'GET /v1/items/imports/:id/refusals', roles: ALL, path: (ids) => `${importOf(ids)}/refusals` },
  { route: 'DELETE /v1/items/imports/:id', roles: WRITERS, path: importOf },
  {
    route: 'POST /v1/rooms',
    roles: WRITERS,
    path: () => '/v1/rooms',
    json: ({ workspace: workspaceId }) => ({ name: 'r', visibility: 'public', workspaceId }),
  },
  { route: 'GET /v1/rooms', roles: ALL, path: (ids) => `/v1/rooms?workspaceId=${ids.workspace}` },
  { route: 'GET /v1/rooms/:id', roles: ALL, path: room },
  { route: 'PATCH /v1/rooms/:id', roles: ADMINS, path: room, json: () => ({ name: 'x' }) },
  { route: 'DELETE /v1/rooms/:id', roles: ADMINS, path: room },
  { route: 'GET /v1/rooms/:id/members', roles: ALL, path: (ids) => `${room(ids)}/members` },
  {
    route: 'POST /v1/rooms/:id/members',
    roles: ADMINS,
    path: (ids) => `${room(ids)}/members`,
    json: () => ({ principalId: people.get('member')?.user.id, role: 'speaker' }),
    spends: true,
  },
  {
    route: 'PATCH /v1/rooms/:id/members/:principalId',
    roles: ADMINS,
    path: roomMember,
    json: () => ({ role: 'listener' }),
  },
  { route: 'DELETE /v1/rooms/:id/members/:principalId', roles: ADMINS, path: roomMember },
  {
    route: 'POST /v1/rooms/:id/messages',
    roles: WRITERS,
    path: (ids) => `${room(ids)}/messages`,
    json: () => ({ type: 'note', data: 1 }),
  },
  {
    route: 'POST /v1/agents',
    roles: ADMINS,
    path: () => '/v1/agents',
    json: ({ workspace: workspaceId }) => ({ name: 'a', kind: 'k', workspaceId }),
  },
  { route: 'GET /v1/leases/dead', roles: ALL, path: (ids) => `/v1/leases/dead?workspaceId=${ids.workspace}` },
  {
    route: 'POST /v1/leases/dead/retry',
    roles: WRITERS,
    path: () => '/v1/leases/dead/retry',
    json: (ids) => ({ items: [ids.item], workspaceId: ids.workspace }),
  },
  {
    route: 'PUT /v1/leases/types',
    roles: ADMINS,
    path: () => '/v1/leases/types',
    json: (ids) => ({ type: 'task', workspaceId: ids.workspace }),
  },
  {
    route: 'POST /v1/leases/:id/cancel',
    roles: WRITERS,
    path: (ids) => `/v1/leases/${ids.lease}/cancel`,
  },
  { route: 'GET /v1/agents', roles: ALL, path: (ids) => `/v1/agents?workspaceId=${ids.workspace}` },
  { route: 'GET /v1/agents/:id', roles: ALL, path: agent },
  { route: 'PATCH /v1/agents/:id', roles: ADMINS, path: agent, json: () => ({ name: 'x' }) },
  {
    route: 'PATCH /v1/agents/:id/metadata',
    roles: ADMINS,
    path: (ids) => `${agent(ids)}/metadata`,
    json: () => ({ x: 1 }),
  },
  { route: 'POST /v1/agents/:id/disable', roles: ADMINS, path: (ids) => `${agent(ids)}/disable` },
  { route: 'POST /v1/agents/:id/enable', roles: ADMINS, path: (ids) => `${agent(ids)}/enable` },
  { route: 'DELETE /v1/agents/:id', roles: ADMINS, path: agent },
  { route: 'POST /v1/agents/:id/secrets', roles: ADMINS, path: secrets, json: () => ({}) },
  { route: 'GET /v1/agents/:id/secrets', roles: ADMINS, path: secrets },
  {
    route: 'PATCH /v1/agents/:id/secrets/:credentialId',
    roles: ADMINS,
    path: (ids) => `${secrets(ids)}/${ids.credential}`,
    json: () => ({ expiresAt: null }),
  },
  {
    route: 'DELETE /v1/agents/:id/secrets/:credentialId',
    roles: ADMINS,
    path: (ids) => `${secrets(ids)}/${ids.credential}`,
  },
  {
    route: 'POST /v1/agents/enrolment-tokens',
    roles: ADMINS,
    path: () => '/v1/agents/enrolment-tokens',
    json: ({ workspace: workspaceId }) => ({ kind: 'k', workspaceId }),
  },
  {
    route: 'GET /v1/agents/enrolment-tokens',
    roles: ADMINS,
    path: (ids) => `/v1/agents/enrolment-tokens?workspaceId=${ids.workspace}`,
  },
  {
    route: 'DELETE /v1/agents/enrolment-tokens/:tokenId',
    roles: ADMINS,
    path: (ids) => `/v1/agents/enrolment-tokens/${ids.enrolmentToken}`,
  },
  { route: 'GET /v1/rooms/:id/messages', roles: ALL, path: (ids) => `${room(ids)}/messages` },
];
/** Shown by the specs of their own areas. */
const ELSEWHERE = /\/devices\/|\/audit|PATCH \/v1\/items\/imports\//;

let app: TestApp;
let [owner, bystander, stranger]: Person[] = [];
const people = new Map<string, Person>();
beforeAll(async () => {
  app = await startAtrium();
  [owner, bystander, stranger] = [await registerUser(app), await registerUser(app), await registerUser(app)];
  for (const role of ROLES) people.set(role, await registerUser(app));
});
afterEach(closeSockets);
afterAll(() => app.stop());

/** The position of a stream after the events of {@link furnished}. */
const FURNISHED = '6';

/** That the same request will do again: for reading, for changing what then is as it was, and for making one more. */
const isRepeatable = ({ route, spends }: Case) =>
  !spends && /^(GET|HEAD|PATCH|PUT) |^POST [^:]+(:id\/\w+s)?$/.test(route);

let made = 0;
/** A workspace with everything in it that a route may be about. */
async function furnished(): Promise<Ids> {
  // One account owns at most a hundred.
  if (++made % 80 === 0) owner = await registerUser(app);
  const workspace: WorkspaceAnswer = await createWorkspace(owner);
  for (const [role, person] of people) await addMember(app, workspace.id, person, role);
  await addMember(app, workspace.id, bystander, 'member');
  const { body } = await owner.http.post<InvitationAnswer>(`/v1/workspaces/${workspace.id}/invitations`, {
    email: `${randomUUID()}@example.com`,
    role: 'member',
  });
  const { id } = await createItem(owner, { workspaceId: workspace.id });
  const { id: deleted } = await createItem(owner, { workspaceId: workspace.id });
  await owner.http.delete(`/v1/items/${deleted}`);
  const [{ id: begun }] = await app.sql<{ id: string }>(
    `INSERT INTO item_imports (id, workspace_id, format, dry_run, created_by)
     VALUES (gen_random_uuid(), $1, 'ndjson', false, $2) RETURNING id`,
    [workspace.id, owner.user.id],
  );
  const { id: roomId } = await createRoom(owner, { visibility: 'public', workspaceId: workspace.id });
  await addToRoom(owner, roomId, bystander, 'speaker');
  const { id: agentId } = await createAgent(owner, { workspaceId: workspace.id });
  const lease = randomUUID();
  await app.sql(`INSERT INTO lease_types (workspace_id, type) VALUES ($1, 'task')`, [workspace.id]);
  await app.sql(
    `INSERT INTO lease_states (item_id, workspace_id, type, state, lease_id, agent_id)
     VALUES ($1, $2, 'task', 'leased', $3, $4)`,
    [id, workspace.id, lease, agentId],
  );
  const credentials = await owner.http.get<PageAnswer<{ id: string }>>(`/v1/agents/${agentId}/secrets`);
  const token = await owner.http.post<{ id: string }>('/v1/agents/enrolment-tokens', {
    kind: 'k',
    workspaceId: workspace.id,
  });
  const [member, invitation] = [bystander.user.id, body.id];
  return {
    workspace: workspace.id,
    member,
    invitation,
    item: id,
    deleted,
    import: begun,
    room: roomId,
    agent: agentId,
    lease,
    credential: credentials.body.data[0].id,
    enrolmentToken: token.body.id,
  };
}

const call = (person: Person, { route, path, json, upload }: Case, ids: Ids) =>
  person.http.call(route.split(' ')[0], path(ids), upload ?? { json: json?.(ids) });
const withoutRequestId = ({ status, body }: Answer<ProblemAnswer>) => ({
  status,
  body: { ...body, requestId: '' },
});

describe('Every route of a workspace', () => {
  it('is in the table below', () => {
    const routes = routesOf(app.nest)
      .filter(({ access }) => typeof access === 'object')
      .map(({ method, path }) => `${method} ${path}`)
      .filter((route) => !ELSEWHERE.test(route));
    expect(routes.sort()).toEqual(CASES.map(({ route }) => route).sort());
  });

  let untouched: Ids;
  let used: Ids;
  beforeAll(async () => void ([untouched, used] = [await furnished(), await furnished()]));

  it.each(CASES)('$route answers a stranger as if nothing existed, and changes nothing', async (entry) => {
    const ids = untouched;
    const nowhere = {
      ...ids,
      workspace: randomUUID(),
      item: randomUUID(),
      deleted: randomUUID(),
      import: randomUUID(),
      room: randomUUID(),
      agent: randomUUID(),
      lease: randomUUID(),
      credential: randomUUID(),
      enrolmentToken: randomUUID(),
    };
    const [existing, missing] = [await call(stranger, entry, ids), await call(stranger, entry, nowhere)];
    expect(withoutRequestId(existing)).toEqual(withoutRequestId(missing));
    expect(existing.status).toBe(404);
    const [stream] = await app.sql('SELECT head FROM streams WHERE id = $1', [ids.workspace]);
    expect(stream).toEqual({ head: FURNISHED });
  });

  it.each(CASES)('$route is for $roles', async (entry) => {
    let ids = isRepeatable(entry) ? used : await furnished();
    for (const role of ROLES) {
      const { status } = await call(people.get(role)!, entry, ids);
      if (!entry.roles.includes(role)) expect([role, status]).toEqual([role, 403]);
      else {
        expect([200, 201, 202, 204]).toContain(status);
        if (!isRepeatable(entry)) ids = await furnished();
      }
    }
  });

  it('knows no way from one workspace into another by mixing their ids', async () => {
    const [one, other] = [await furnished(), await furnished()];
    const mine = await createWorkspace(stranger);
    const tried = [
      await stranger.http.patch(`/v1/workspaces/${mine.id}/members/${one.member}`, { role: 'viewer' }),
      await stranger.http.delete(`/v1/workspaces/${mine.id}/members/${one.member}`),
      await stranger.http.delete(`/v1/workspaces/${mine.id}/invitations/${other.invitation}`),
    ];
    expect(tried.map(({ status }) => status)).toEqual([404, 404, 404]);
    const left = await owner.http.get(invitations(other));
    expect(left.text).toContain(other.invitation);
  });
});

describe('Every room of a workspace', () => {
  it('is to a stranger as if it did not exist, for joining and for publishing', async () => {
    const ids = await furnished();
    const client = await connect(app, { token: stranger.token });
    for (const [kind, id] of [
      ['workspaces', ids.workspace],
      ['items', ids.item],
      ['rooms', ids.room],
      ['agents', ids.agent],
    ] as const) {
      const [existing, missing] = [`${kind}/${id}`, `${kind}/${randomUUID()}`];
      for (const [event, more] of [
        ['join', {}],
        ['join', { after: 'abc-1' }],
        ['publish', { type: 'note', data: 1 }],
        ['publish', { type: 'note', data: 1, durable: false }],
      ] as const) {
        const there = await client.send(event, { room: existing, ...more });
        const nowhere = await client.send(event, { room: missing, ...more });
        expect([there.event, there.data]).toEqual([nowhere.event, nowhere.data]);
        expect(there.data).toMatchObject({ code: 'not_found' });
      }
    }
    const [stream] = await app.sql('SELECT head FROM streams WHERE id = $1', [ids.workspace]);
    expect(stream).toEqual({ head: FURNISHED });
  });

  it.each(ROLES)('lets a %s listen, and publish unless it is a viewer', async (role) => {
    const ids = await furnished();
    const client = await connect(app, { token: people.get(role)!.token });
    for (const room of [
      `workspaces/${ids.workspace}`,
      `items/${ids.item}`,
      `rooms/${ids.room}`,
      `agents/${ids.agent}`,
    ]) {
      await client.join(room);
      for (const durable of [true, false]) {
        const { event, data } = await client.send('publish', { room, type: 'note', data: 1, durable });
        if (role === 'viewer') expect(data).toMatchObject({ code: 'forbidden' });
        else expect(event).toBe('published');
      }
    }
  });
});
