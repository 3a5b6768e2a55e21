import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { IdempotencyKeys } from '../../src/idempotency/idempotency-keys.js';
import { Mailer } from '../../src/mail/mailer.js';
import { startAgent } from '../support/agents.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { createRoom } from '../support/custom-rooms.js';
import type { HttpClient } from '../support/http.js';
import { addMember, createItem, type Person, registerUser } from '../support/people.js';
import { routesOf } from '../support/routes.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium();
  ada = await registerUser(app);
});
afterAll(() => app.stop());
afterEach(() => void jest.restoreAllMocks());

const withKey = () => ({ headers: { 'Idempotency-Key': `"${randomUUID()}"` } });

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

/** What a POST to each route that keeps its answer may send; a path, or what makes one. */
const REQUESTS: Readonly<Record<string, () => Promise<[path: string, body: unknown, caller?: HttpClient]>>> =
  {
    '/v1/items': () =>
      Promise.resolve(['/v1/items', { title: 'é "1"', type: 'task', data: { b: 1, a: [] } }]),
    '/v1/items/batch': async () => {
      const item = await createItem(ada, { title: 'x' });
      const create = { op: 'create', item: { title: 'y', type: 'task', data: {} } };
      const operations = [
        create,
        { op: 'update', id: item.id, patch: { title: 'z' } },
        { op: 'delete', id: item.id },
      ];
      return ['/v1/items/batch', { operations }];
    },
    '/v1/workspaces': () => Promise.resolve(['/v1/workspaces', { name: 'W' }]),
    '/v1/rooms': async () => {
      const { id } = await createWorkspace(ada);
      return ['/v1/rooms', { name: 'r', visibility: 'private', workspaceId: id }];
    },
    '/v1/rooms/:id/members': async () => {
      const { id: workspaceId } = await createWorkspace(ada);
      const eve = await registerUser(app);
      await addMember(app, workspaceId, eve, 'member');
      const room = await createRoom(ada, { workspaceId, visibility: 'private' });
      return [`/v1/rooms/${room.id}/members`, { principalId: eve.user.id, role: 'speaker' }];
    },
    '/v1/rooms/:id/messages': async () => {
      const room = await createRoom(ada);
      return [`/v1/rooms/${room.id}/messages`, { type: 'chat.said', data: { b: 'é', a: 1 } }];
    },
    '/v1/leases': async () => {
      await createItem(ada, { type: 'work' });
      const agent = await startAgent(app, ada, ['leases']);
      return ['/v1/leases', { types: ['work'] }, agent.http];
    },
    '/v1/invitations/accept': async () => {
      const eve = await registerUser(app);
      const { id } = await createWorkspace(eve);
      const send = jest.spyOn(app.nest.get(Mailer, { strict: false }), 'send').mockResolvedValue(undefined);
      await eve.http.post(`/v1/workspaces/${id}/invitations`, { email: ada.user.email, role: 'member' });
      return ['/v1/invitations/accept', { token: /#token=(\S+)/.exec(send.mock.calls[0][0].text)?.[1] }];
    },
  };

/** Why the others do not keep theirs. */
const KEEP_NOTHING: Readonly<Record<string, string>> = {
  '/v1/workspaces/:id/invitations': 'sends a mail after the commit',
  '/v1/agents/:id/disable': 'may be repeated',
  '/v1/agents/:id/enable': 'may be repeated',
  '/v1/agents/:id/heartbeat': 'may be repeated',
  '/v1/devices/:userCode/approve': 'is decided once, and then says so',
  '/v1/devices/:userCode/deny': 'is decided once, and then says so',
  '/v1/items/:id/restore': 'is combined with other writes',
  '/v1/items/import': 'goes on by Upload-Offset',
  '/v1/leases/:id/cancel': 'is combined with other writes, and done once',
  '/v1/leases/:id/complete': 'is combined with other writes, and done once',
  '/v1/leases/:id/extend': 'may be repeated',
  '/v1/leases/:id/fail': 'is combined with other writes, and done once',
  '/v1/leases/:id/release': 'is combined with other writes, and done once',
  '/v1/leases/dead/retry': 'may be repeated',
  '/v1/auth/change-password': 'wants the old password, which has changed',
  '/v1/auth/resend-verification': 'sends a mail',
  '/v1/me/email': 'sends a mail',
  '/v1/auth/mfa/step-up': 'renews a session',
};

describe('A request that is cut off between its commit and its answer', () => {
  it.each(Object.entries(REQUESTS))('is answered when it is repeated: POST %s', async (_, make) => {
    const [path, body, caller = ada.http] = await make();
    const options = withKey();
    dieAfterCommit();
    const first = await caller.post(path, body, options);
    expect(first.status).toBeLessThan(300);
    const before = await heads();
    const again = await caller.post(path, body, options);
    expect([again.status, again.text]).toEqual([first.status, first.text]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    for (const name of ['etag', 'location', 'stream-cursor', 'content-type', 'cache-control'])
      expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)]);
    expect(await heads()).toBe(before);
  });
});

describe('Every POST of a principal', () => {
  it('keeps its answer with what it does, or is known not to, or answers with what nobody may keep', async () => {
    const posts = routesOf(app.nest).filter(({ method, access }) => method === 'POST' && access !== 'public');
    expect(
      posts
        .filter((route) => route.keepsAnswer)
        .map(({ path }) => path)
        .toSorted(),
    ).toEqual(Object.keys(REQUESTS).toSorted());
    const others = posts.filter((route) => !route.keepsAnswer && !route.noStore).map(({ path }) => path);
    expect(others.toSorted()).toEqual(Object.keys(KEEP_NOTHING).toSorted());
  });
});
