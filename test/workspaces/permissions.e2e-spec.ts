import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createAgent } from '../support/agents.js';
import type { TestApp } from '../support/app.js';
import { addToRoom, createRoom } from '../support/custom-rooms.js';
import type { Answer, ProblemAnswer } from '../support/http.js';
import { addMember, createItem, type Person, registerUser, type PageAnswer } from '../support/people.js';
import { routesOf } from '../support/routes.js';
import { sharedAtrium } from '../support/shared-app.js';
import { closeSockets, connect } from '../support/sockets.js';
import { createWorkspace, type InvitationAnswer, type WorkspaceAnswer } from '../support/workspaces.js';
import { type Case, CASES, type Ids, invitations, ROLES } from './routes-by-role.js';

/** Shown by the specs of their own areas. */
const ELSEWHERE = /\/devices\/|\/audit|PATCH \/v1\/items\/imports\//;

let app: TestApp;
let [owner, bystander, stranger]: Person[] = [];
const people = new Map<string, Person>();
beforeAll(async () => {
  app = await sharedAtrium();
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
    newcomer: people.get('member')!.user.id,
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
