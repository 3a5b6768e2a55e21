import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Instance, TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { addMember, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { createWorkspace, type MemberAnswer, type WorkspaceAnswer } from '../support/workspaces.js';

let app: TestApp;
let second: Instance;
let [owner, admin, member, viewer]: Person[] = [];
let workspace: WorkspaceAnswer;
beforeAll(async () => {
  app = await sharedAtrium();
  second = await sharedSecondInstance();
  [owner, admin, member, viewer] = [
    await registerUser(app, { name: 'Olga' }),
    await registerUser(app),
    await registerUser(app),
    await registerUser(app),
  ];
});
afterAll(() => app.stop());
beforeEach(async () => {
  workspace = await createWorkspace(owner);
  await addMember(app, workspace.id, admin, 'admin');
  await addMember(app, workspace.id, member, 'member');
  await addMember(app, workspace.id, viewer, 'viewer');
});

const members = () => `/v1/workspaces/${workspace.id}/members`;
const path = ({ user }: Person) => `${members()}/${user.id}`;
const roles = async () => {
  const found = await app.sql<{ role: string }>(
    'SELECT role FROM memberships WHERE workspace_id = $1 ORDER BY role',
    [workspace.id],
  );
  return found.map(({ role }) => role);
};
const events = () =>
  app.sql<{ seq: string; type: string; data: unknown }>(
    'SELECT seq, type, data FROM events WHERE stream_id = $1 ORDER BY seq',
    [workspace.id],
  );

describe('The members of a workspace', () => {
  it('are listed page by page, each once, to members of any role', async () => {
    const found: MemberAnswer[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor && `&cursor=${cursor}`;
      const { body } = await viewer.http.get<PageAnswer<MemberAnswer>>(`${members()}?limit=3${query}`);
      found.push(...body.data);
      cursor = body.nextCursor;
    }
    expect(found.map(({ principalId, role }) => [principalId, role])).toEqual([
      [owner.user.id, 'owner'],
      [admin.user.id, 'admin'],
      [member.user.id, 'member'],
      [viewer.user.id, 'viewer'],
    ]);
    expect(found[0]).toMatchObject({ email: owner.user.email, name: 'Olga', version: 1 });
  });
});

describe('A role', () => {
  it('is changed with a version, an event, an entry of the audit trail, and the view of the member', async () => {
    const before = await member.http.get<WorkspaceAnswer>(`/v1/workspaces/${workspace.id}`);
    const changed = await admin.http.patch<MemberAnswer>(
      path(member),
      { role: 'viewer' },
      { headers: { 'If-Match': '"1"' } },
    );
    expect(changed.body).toMatchObject({ principalId: member.user.id, role: 'viewer', version: 2 });
    expect(changed.headers.get('etag')).toBe('"2"');
    expect(changed.headers.get('stream-cursor')).toMatch(/-1$/);
    const stale = await admin.http.patch(path(member), { role: 'admin' }, { headers: { 'If-Match': '"1"' } });
    expect(stale.status).toBe(412);
    const data = { id: member.user.id, version: 2, workspaceId: workspace.id, principalId: member.user.id };
    expect(await events()).toEqual([{ seq: '1', type: 'member.updated', data: { ...data, role: 'viewer' } }]);
    const etag = before.headers.get('etag') ?? '';
    const after = await member.http.get<WorkspaceAnswer>(`/v1/workspaces/${workspace.id}`, {
      headers: { 'If-None-Match': etag },
    });
    expect([after.status, after.body.role]).toEqual([200, 'viewer']);
    const entries = await app.sql(
      'SELECT action, user_id, principal_id, detail FROM audit_entries WHERE workspace_id = $1 AND user_id = $2',
      [workspace.id, member.user.id],
    );
    expect(entries).toEqual([
      {
        action: 'member.updated',
        user_id: member.user.id,
        principal_id: admin.user.id,
        detail: { from: 'member', to: 'viewer' },
      },
    ]);
  });

  it.each([[{}], [{ role: 'god' }], [{ role: null }], [{ role: 'viewer', principalId: 'x' }]])(
    'is refused as %j',
    async (body) => {
      expect((await owner.http.patch(path(member), body)).body.code).toBe('validation_failed');
    },
  );

  it('of an owner is for owners: an admin makes none, changes none and removes none', async () => {
    const refused = [
      await admin.http.patch(path(admin), { role: 'owner' }),
      await admin.http.patch(path(owner), { role: 'member' }),
      await admin.http.delete(path(owner)),
    ];
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual(Array(3).fill([403, 'forbidden']));
    expect(await roles()).toEqual(['admin', 'member', 'owner', 'viewer']);
    expect(await events()).toEqual([]);
  });

  it('of somebody who is no member is 404', async () => {
    const unknown = await owner.http.patch(`${members()}/${randomUUID()}`, { role: 'viewer' });
    expect([unknown.status, unknown.body.code]).toEqual([404, 'not_found']);
  });
});

describe('Leaving', () => {
  it('is for every role, and ends all access at once', async () => {
    for (const person of [viewer, member, admin]) {
      const left = await person.http.delete(path(person));
      expect(left.status).toBe(204);
      expect((await person.http.get(`/v1/workspaces/${workspace.id}`)).status).toBe(404);
      expect((await person.http.delete(path(person))).status).toBe(404);
    }
    expect((await events()).map(({ type }) => type)).toEqual(Array(3).fill('member.removed'));
  });

  it('is for the last owner only once there is another', async () => {
    for (const attempt of [
      owner.http.delete(path(owner)),
      owner.http.patch(path(owner), { role: 'admin' }),
    ]) {
      const { status, body } = await attempt;
      expect([status, body.code]).toEqual([409, 'last_owner']);
    }
    expect((await owner.http.patch(path(member), { role: 'owner' })).status).toBe(200);
    expect((await owner.http.patch(path(owner), { role: 'viewer' })).status).toBe(200);
    expect((await owner.http.delete(path(owner))).status).toBe(204);
    expect(await roles()).toEqual(['admin', 'owner', 'viewer']);
  });

  it('of one’s personal workspace is impossible, whoever owns it besides', async () => {
    await addMember(app, owner.workspaceId, admin, 'owner');
    const own = `/v1/workspaces/${owner.workspaceId}/members/${owner.user.id}`;
    expect((await owner.http.delete(own)).body.code).toBe('personal_workspace');
    expect((await admin.http.patch(own, { role: 'viewer' })).body.code).toBe('personal_workspace');
    expect((await admin.http.delete(own)).body.code).toBe('personal_workspace');
    await admin.http.delete(`/v1/workspaces/${owner.workspaceId}/members/${admin.user.id}`);
  });
});

describe('Two owners at two instances', () => {
  const race = async (
    act: (client: ReturnType<typeof http>, self: Person, other: Person) => Promise<{ status: number }>,
  ) => {
    await app.sql(`UPDATE memberships SET role = 'owner' WHERE workspace_id = $1 AND principal_id = $2`, [
      workspace.id,
      admin.user.id,
    ]);
    const answers = await Promise.all([
      act(http(app, owner.token), owner, admin),
      act(http(second, admin.token), admin, owner),
    ]);
    const owners = (await roles()).filter((role) => role === 'owner');
    return { statuses: answers.map(({ status }) => status).sort(), owners: owners.length };
  };

  it('who both leave, both step down, or both remove the other leave one, in 10 rounds each', async () => {
    for (let round = 0; round < 10; round++) {
      const left = await race((client, self) => client.delete(path(self)));
      expect(left).toEqual({ statuses: [204, 409], owners: 1 });
      workspace = await createWorkspace(owner);
      await addMember(app, workspace.id, admin, 'admin');
      const down = await race((client, self) => client.patch(path(self), { role: 'viewer' }));
      expect(down).toEqual({ statuses: [200, 409], owners: 1 });
      workspace = await createWorkspace(owner);
      await addMember(app, workspace.id, admin, 'admin');
      const removed = await race((client, _, other) => client.delete(path(other)));
      expect(removed).toEqual({ statuses: [204, 404], owners: 1 });
      workspace = await createWorkspace(owner);
      await addMember(app, workspace.id, admin, 'admin');
    }
  });
});
