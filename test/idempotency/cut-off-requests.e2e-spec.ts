import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { IdempotencyKeys } from '../../src/idempotency/idempotency-keys.js';
import { ItemImports } from '../../src/items/item-imports.service.js';
import { Jobs } from '../../src/jobs/jobs.js';
import { Mailer } from '../../src/mail/mailer.js';
import { createAgent, postForm, startAgent } from '../support/agents.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { createRoom } from '../support/custom-rooms.js';
import type { HttpClient } from '../support/http.js';
import { claim, lease } from '../support/leases.js';
import { addMember, createItem, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { routesOf } from '../support/routes.js';
import { until } from '../support/until.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium();
  ada = await registerUser(app);
});
afterAll(() => app.stop());
afterEach(() => void jest.restoreAllMocks());

const newKey = () => `"${randomUUID()}"`;

/** From here on the process is as good as dead once it has committed: what it would still write is not written. */
function dieAfterCommit(): void {
  const keys = app.nest.get(IdempotencyKeys, { strict: false });
  for (const method of ['answer', 'doubt', 'release'] as const)
    jest.spyOn(keys, method).mockResolvedValue(undefined);
}

async function heads(): Promise<number> {
  const [{ sum }] = await app.sql<{ sum: string }>('SELECT sum(head) FROM streams');
  return Number(sum);
}

/** A request to a route, by Ada unless said otherwise. */
interface Post {
  readonly path: string;
  readonly json?: unknown;
  readonly raw?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly caller?: HttpClient;
}

const send = ({ path, json, raw, headers, caller = ada.http }: Post, key: string) =>
  caller.call('POST', path, { json, raw, headers: { ...headers, 'Idempotency-Key': key } });

async function userCode(): Promise<string> {
  const form = { client_id: 'atrium-device', scope: 'items:read' };
  return (await postForm<{ user_code: string }>(app, '/oauth/device_authorization', form)).body.user_code;
}

/** An agent that holds the lease of an item. */
async function leased() {
  const type = `work ${randomUUID()}`;
  const item = await createItem(ada, { type });
  const agent = await startAgent(app, ada, ['leases', 'items:write']);
  const [held] = await claim(agent, type);
  return { item, agent, caller: agent.http, path: `/v1/leases/${held.id}`, held };
}

/** What a POST to each route that keeps its answer may send. */
const REQUESTS: Readonly<Record<string, () => Promise<Post>>> = {
  '/v1/items': () =>
    Promise.resolve({ path: '/v1/items', json: { title: 'é "1"', type: 'task', data: { b: 1, a: [] } } }),
  '/v1/items/batch': async () => {
    const item = await createItem(ada, { title: 'x' });
    const create = { op: 'create', item: { title: 'y', type: 'task', data: {} } };
    const operations = [
      create,
      { op: 'update', id: item.id, patch: { title: 'z' } },
      { op: 'delete', id: item.id },
    ];
    return { path: '/v1/items/batch', json: { operations } };
  },
  '/v1/items/:id/restore': async () => {
    const { id } = await createItem(ada, { data: { b: 'é', a: 1.5 } });
    await ada.http.delete(`/v1/items/${id}`);
    return { path: `/v1/items/${id}/restore` };
  },
  '/v1/items/import': () =>
    Promise.resolve({
      path: '/v1/items/import',
      raw: '{"title":"in part',
      headers: { 'Content-Type': 'application/x-ndjson', 'Upload-Complete': '?0' },
    }),
  '/v1/workspaces': () => Promise.resolve({ path: '/v1/workspaces', json: { name: 'W' } }),
  '/v1/workspaces/:id/invitations': async () => {
    const { id } = await createWorkspace(ada);
    const json = { email: `${randomUUID()}@example.com`, role: 'viewer' };
    return { path: `/v1/workspaces/${id}/invitations`, json };
  },
  '/v1/rooms': async () => {
    const { id } = await createWorkspace(ada);
    return { path: '/v1/rooms', json: { name: 'r', visibility: 'private', workspaceId: id } };
  },
  '/v1/rooms/:id/members': async () => {
    const { id: workspaceId } = await createWorkspace(ada);
    const eve = await registerUser(app);
    await addMember(app, workspaceId, eve, 'member');
    const room = await createRoom(ada, { workspaceId, visibility: 'private' });
    return { path: `/v1/rooms/${room.id}/members`, json: { principalId: eve.user.id, role: 'speaker' } };
  },
  '/v1/rooms/:id/messages': async () => {
    const room = await createRoom(ada);
    return { path: `/v1/rooms/${room.id}/messages`, json: { type: 'chat.said', data: { b: 'é', a: 1 } } };
  },
  '/v1/agents': () => Promise.resolve({ path: '/v1/agents', json: { name: 'é', kind: 'worker' } }),
  '/v1/agents/:id/secrets': async () => ({
    path: `/v1/agents/${(await createAgent(ada)).id}/secrets`,
    json: { name: 'another' },
  }),
  '/v1/agents/enrolment-tokens': () =>
    Promise.resolve({ path: '/v1/agents/enrolment-tokens', json: { kind: 'camera' } }),
  '/v1/agents/:id/disable': async () => ({ path: `/v1/agents/${(await createAgent(ada)).id}/disable` }),
  '/v1/agents/:id/enable': async () => {
    const { id } = await createAgent(ada);
    await ada.http.post(`/v1/agents/${id}/disable`);
    return { path: `/v1/agents/${id}/enable` };
  },
  '/v1/devices/:userCode/approve': async () => ({
    path: `/v1/devices/${await userCode()}/approve`,
    json: { name: 'Camera' },
  }),
  '/v1/devices/:userCode/deny': async () => ({ path: `/v1/devices/${await userCode()}/deny` }),
  '/v1/leases': async () => {
    await createItem(ada, { type: 'work' });
    const agent = await startAgent(app, ada, ['leases']);
    return { path: '/v1/leases', json: { types: ['work'] }, caller: agent.http };
  },
  '/v1/leases/:id/cancel': async () => ({ path: `${(await leased()).path}/cancel`, json: { reason: 'é' } }),
  '/v1/leases/:id/complete': async () => {
    const { path, caller } = await leased();
    return { path: `${path}/complete`, json: { patch: { title: 'Done', data: { é: 1 } } }, caller };
  },
  '/v1/leases/:id/extend': async () => {
    const { path, caller } = await leased();
    return { path: `${path}/extend`, json: { ttlSeconds: 120 }, caller };
  },
  '/v1/leases/:id/fail': async () => {
    const { path, caller } = await leased();
    return { path: `${path}/fail`, json: { reason: 'no' }, caller };
  },
  '/v1/leases/:id/release': async () => {
    const { path, caller } = await leased();
    return { path: `${path}/release`, caller };
  },
  '/v1/leases/dead/retry': async () => {
    const { item, agent, held } = await leased();
    await lease(agent, held, 'fail', { reason: 'no', retry: false });
    return { path: '/v1/leases/dead/retry', json: { items: [item.id] } };
  },
  '/v1/auth/change-password': async () => {
    const { http, password } = await registerUser(app);
    const json = { currentPassword: password, newPassword: `a new one ${randomUUID()}` };
    return { path: '/v1/auth/change-password', json, caller: http };
  },
  '/v1/auth/mfa/step-up': () =>
    Promise.resolve({ path: '/v1/auth/mfa/step-up', json: { password: ada.password } }),
  '/v1/invitations/accept': async () => {
    const eve = await registerUser(app);
    const { id } = await createWorkspace(eve);
    const send = jest.spyOn(app.nest.get(Mailer, { strict: false }), 'sendNow').mockResolvedValue(undefined);
    await eve.http.post(`/v1/workspaces/${id}/invitations`, { email: ada.user.email, role: 'member' });
    const [{ text }] = await until('the mail', () => send.mock.calls[0]);
    return { path: '/v1/invitations/accept', json: { token: /#token=(\S+)/.exec(text)?.[1] } };
  },
};

/** What is done again, since nobody is harmed by that; with the reason. */
const RUN_AGAIN: Readonly<Record<string, () => Promise<Post>>> = {
  // Says that the agent is there, once more.
  '/v1/agents/:id/heartbeat': async () => {
    const { agent, http } = await startAgent(app, ada, []);
    return { path: `/v1/agents/${agent.id}/heartbeat`, caller: http };
  },
  // The first mail may never have left.
  '/v1/auth/resend-verification': async () => {
    const { http } = await registerUser(app);
    return { path: '/v1/auth/resend-verification', caller: http };
  },
  '/v1/me/email': async () => {
    const { http, password } = await registerUser(app);
    const json = { email: `${randomUUID()}@example.com`, password };
    return { path: '/v1/me/email', json, caller: http };
  },
};

const HEADERS = [
  ...['etag', 'location', 'stream-cursor', 'content-type', 'cache-control'],
  ...['upload-offset', 'upload-complete', 'upload-limit'],
];

describe('A request that is cut off between its commit and its answer', () => {
  it.each(Object.entries(REQUESTS))('is answered when it is repeated: POST %s', async (_, make) => {
    const post = await make();
    const key = newKey();
    dieAfterCommit();
    const first = await send(post, key);
    expect([first.status < 300, first.text]).toEqual([true, first.text]);
    const before = await heads();
    const again = await send(post, key);
    expect([again.status, again.text]).toEqual([first.status, first.text]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    for (const name of HEADERS)
      expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)]);
    expect(await heads()).toBe(before);
  });

  it('is answered when it brought back an older version of an item', async () => {
    const { id } = await createItem(ada, { title: 'First' });
    await ada.http.patch(`/v1/items/${id}`, { title: 'Second' });
    const post = { path: `/v1/items/${id}/restore`, json: { version: 1 } };
    const key = newKey();
    dieAfterCommit();
    const [first, again] = [await send(post, key), await send(post, key)];
    expect(first.body).toMatchObject({ title: 'First', version: 3 });
    expect([again.status, again.text]).toEqual([200, first.text]);
    expect((await ada.http.get<{ version: number }>(`/v1/items/${id}`)).body.version).toBe(3);
  });

  it.each(Object.entries(RUN_AGAIN))('runs once more: POST %s', async (_, make) => {
    const post = await make();
    const key = newKey();
    dieAfterCommit();
    const first = await send(post, key);
    expect(first.status).toBeLessThan(300);
    expect((await send(post, key)).body.code).toBe('idempotency_in_progress');
    await abandon();
    const again = await send(post, key);
    expect([again.status, again.headers.has('idempotency-replayed')]).toEqual([first.status, false]);
  });
});

/** As if a minute had passed. */
const abandon = () =>
  app.sql(
    `UPDATE idempotency_keys SET claimed_at = claimed_at - interval '61 seconds' WHERE state = 'running'`,
  );

describe('An import that is repeated under its Idempotency-Key', () => {
  const file = (text: string, query = ''): Post => ({
    path: `/v1/items/import${query}`,
    raw: text,
    headers: { 'Content-Type': 'application/x-ndjson' },
  });
  const line = (title: string) => `${JSON.stringify({ title, type: 'kept', data: {} })}\n`;
  const titled = async (title: string) =>
    (await app.sql('SELECT FROM items WHERE title = $1', [title])).length;

  it('is done once, and answered as the first, whatever became of the process', async () => {
    const [title, key] = [randomUUID(), newKey()];
    dieAfterCommit();
    const first = await send(file(line(title)), key);
    expect([first.status, (first.body as unknown as { state: string }).state]).toEqual([202, 'queued']);
    const again = await send(file(line(title)), key);
    expect([again.status, again.text]).toEqual([202, first.text]);
    for (const name of HEADERS)
      expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)]);
    await until('it is done', async () => (await titled(title)) > 0);
    const other = await send(file(line(`another ${title}`)), key);
    expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused']);
    expect(await titled(title)).toBe(1);
  });

  it('takes the place of what was uploaded before the process died, and leaves nothing of it', async () => {
    const person = await registerUser(app);
    const [title, key] = [randomUUID(), newKey()];
    const post = { ...file(line(title)), caller: person.http };
    dieAfterCommit();
    const imports = app.nest.get<ItemImports, { queue(): Promise<void> }>(ItemImports, { strict: false });
    // Neither answered nor cleared away.
    let end = (): void => undefined;
    jest.spyOn(imports, 'queue').mockImplementationOnce(() => new Promise((resolve) => (end = resolve)));
    const first = send(post, key);
    const unfinished = async () =>
      app.sql<{ id: string }>(
        `SELECT id FROM item_imports WHERE created_by = $1 AND received_bytes > 0 AND finished_at IS NULL`,
        [person.user.id],
      );
    const [orphan] = await until('it is uploaded', async () => {
      const found = await unfinished();
      return found.length > 0 && found;
    });
    await abandon();
    const again = await send(post, key);
    expect(again.status).toBe(202);
    await until('it is done', async () => (await unfinished()).length === 0);
    expect(await app.sql('SELECT FROM item_imports WHERE id = $1', [orphan.id])).toEqual([]);
    expect(await titled(title)).toBe(1);
    end();
    await first;
  });
});

describe('An invitation', () => {
  it('is made once and mailed, though its answer and the first try to mail it are lost', async () => {
    const { id } = await createWorkspace(ada);
    const eve = await registerUser(app);
    const path = `/v1/workspaces/${id}/invitations`;
    const post = { path, json: { email: eve.user.email, role: 'member' } };
    const key = newKey();
    dieAfterCommit();
    const mailed = jest
      .spyOn(app.nest.get(Mailer, { strict: false }), 'sendNow')
      .mockRejectedValueOnce(new Error('the process is gone'))
      .mockResolvedValue(undefined);
    const [first, again] = [await send(post, key), await send(post, key)];
    expect([first.status, again.text]).toEqual([201, first.text]);
    const jobs = app.nest.get(Jobs, { strict: false });
    await until('it is mailed', async () => {
      await jobs.sweep();
      return mailed.mock.calls.length > 1;
    });
    const tokens = mailed.mock.calls.map(([{ text }]) => /#token=(\S+)/.exec(text)?.[1]);
    expect(tokens[1]).toBe(tokens[0]);
    const open = await ada.http.get<PageAnswer<{ email: string }>>(path);
    expect(open.body.data.map(({ email }) => email)).toEqual([eve.user.email]);
    expect((await eve.http.post('/v1/invitations/accept', { token: tokens[0] })).status).toBe(200);
  });
});

describe('Every POST of a principal', () => {
  it('keeps its answer with what it does, or may run again, or answers with what nobody may keep', async () => {
    const posts = routesOf(app.nest).filter(({ method, access }) => method === 'POST' && access !== 'public');
    const pathsOf = (some: typeof posts) => some.map(({ path }) => path).toSorted();
    expect(pathsOf(posts.filter((route) => route.keepsAnswer))).toEqual(Object.keys(REQUESTS).toSorted());
    expect(pathsOf(posts.filter((route) => route.mayRunAgain))).toEqual(Object.keys(RUN_AGAIN).toSorted());
    const others = posts.filter((route) => !route.keepsAnswer && !route.mayRunAgain);
    expect(others.filter((route) => !route.noStore)).toEqual([]);
  });
});
