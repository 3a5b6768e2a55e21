import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { addMember, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { Jobs } from '../../src/jobs/jobs.js';
import { type MailServer, startMailServer } from '../support/smtp.js';
import { until } from '../support/until.js';
import {
  createWorkspace,
  invite,
  type InvitationAnswer,
  type WorkspaceAnswer,
} from '../support/workspaces.js';

let app: TestApp;
let mail: MailServer;
let [owner, admin]: Person[] = [];
let workspace: WorkspaceAnswer;
beforeAll(async () => {
  mail = await startMailServer();
  app = await startAtrium({ SMTP_URL: mail.url, PUBLIC_URL: 'https://app.example.com' });
  [owner, admin] = [await registerUser(app), await registerUser(app)];
});
afterAll(async () => {
  await app.stop();
  await mail.stop();
});
beforeEach(async () => {
  workspace = await createWorkspace(owner);
  await addMember(app, workspace.id, admin, 'admin');
});

const invitations = () => `/v1/workspaces/${workspace.id}/invitations`;
const accept = (person: Person, token: string) =>
  person.http.post<WorkspaceAnswer & { code?: string }>('/v1/invitations/accept', { token });
const open = async () => {
  const { body } = await admin.http.get<PageAnswer<InvitationAnswer>>(invitations());
  return body.data.map(({ email, role }) => [email, role]);
};

describe('An invitation', () => {
  it('travels by mail to the address, with a link from the configuration alone, and makes a member', async () => {
    const bob = await registerUser(app, { email: `Bob.${randomUUID()}@Example.com` });
    const { invitation, token } = await invite(
      mail,
      admin,
      workspace.id,
      bob.user.email.toUpperCase().toLowerCase(),
    );
    expect(invitation).toMatchObject({ email: bob.user.email, role: 'member', invitedBy: admin.user.id });
    expect(JSON.stringify(invitation)).not.toContain(token);
    const received = await mail.mailTo(bob.user.email, /^You are invited to Team$/);
    expect(received.mail.text).toContain(`https://app.example.com/accept-invitation#token=${token}`);
    expect(await open()).toEqual([[bob.user.email, 'member']]);

    const accepted = await accept(bob, token);
    expect(accepted.status).toBe(200);
    expect(accepted.body).toMatchObject({ id: workspace.id, role: 'member', personal: false });
    expect((await bob.http.get(`/v1/workspaces/${workspace.id}`)).status).toBe(200);
    expect((await bob.http.get<{ emailVerified: boolean }>('/v1/me')).body.emailVerified).toBe(true);
    expect(await open()).toEqual([]);
    const events = await app.sql('SELECT type, data FROM events WHERE stream_id = $1', [workspace.id]);
    const data = { id: bob.user.id, version: 1, workspaceId: workspace.id, principalId: bob.user.id };
    expect(events).toEqual([{ type: 'member.added', data: { ...data, role: 'member' } }]);
  });

  it('works once, of many who try at the same moment', async () => {
    const bob = await registerUser(app);
    const { token } = await invite(mail, owner, workspace.id, bob.user.email);
    const answers = await Promise.all(Array.from({ length: 10 }, () => accept(bob, token)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(9).fill(404)]);
    const [used] = answers.filter(({ status }) => status === 404);
    expect(used.body.code).toBe('invalid_invitation');
    const left = await bob.http.delete(`/v1/workspaces/${workspace.id}/members/${bob.user.id}`);
    expect(left.status).toBe(204);
    expect((await accept(bob, token)).status).toBe(404);
  });

  it('is for the invited address alone, and stays for it', async () => {
    const [bob, eve] = [await registerUser(app), await registerUser(app)];
    const { token } = await invite(mail, owner, workspace.id, bob.user.email);
    const stolen = await accept(eve, token);
    expect([stolen.status, stolen.body.code]).toEqual([403, 'other_address']);
    expect((await eve.http.get(`/v1/workspaces/${workspace.id}`)).status).toBe(404);
    expect((await accept(bob, token)).status).toBe(200);
  });

  it('ends after seven days', async () => {
    const bob = await registerUser(app);
    const { token, invitation } = await invite(mail, owner, workspace.id, bob.user.email);
    const days = (Date.parse(invitation.expiresAt) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(7);
    await app.sql(`UPDATE invitations SET expires_at = expires_at - interval '7 days' WHERE id = $1`, [
      invitation.id,
    ]);
    expect((await accept(bob, token)).body.code).toBe('invalid_invitation');
    expect(await open()).toEqual([]);
  });

  it('that nobody took up is forgotten with its address, by a job, and nothing that is good', async () => {
    const [late, good] = [await registerUser(app), await registerUser(app)];
    for (const { user } of [late, good]) await invite(mail, owner, workspace.id, user.email);
    await app.sql(`UPDATE invitations SET expires_at = now() WHERE email = $1`, [late.user.email]);
    await app.sql(
      `INSERT INTO invitations (id, workspace_id, email, role, token_hash, invited_by, expires_at)
       SELECT gen_random_uuid(), $1, n || '@example.org', 'member', sha256(n::text::bytea), $2, now()
       FROM generate_series(1, 2500) n`,
      [workspace.id, owner.user.id],
    );
    const kept = async () =>
      (
        await app.sql<{ email: string }>('SELECT email FROM invitations WHERE workspace_id = $1', [
          workspace.id,
        ])
      ).map(({ email }) => email);
    await app.nest.get(Jobs).enqueue('invitations.retention', {});
    await until('they are gone', async () => (await kept()).length === 1);
    expect(await kept()).toEqual([good.user.email]);
    expect(await app.sql(`SELECT FROM jobs.schedule WHERE name = 'invitations.retention'`)).toHaveLength(1);
  });

  it('is replaced by the next for the same address, whose role counts', async () => {
    const bob = await registerUser(app);
    const first = await invite(mail, owner, workspace.id, bob.user.email, 'admin');
    const next = await invite(mail, owner, workspace.id, bob.user.email, 'viewer');
    expect(await open()).toEqual([[bob.user.email, 'viewer']]);
    expect((await accept(bob, first.token)).status).toBe(404);
    expect((await accept(bob, next.token)).body.role).toBe('viewer');
  });

  it('can be withdrawn', async () => {
    const bob = await registerUser(app);
    const { token, invitation } = await invite(mail, owner, workspace.id, bob.user.email);
    expect((await admin.http.delete(`${invitations()}/${invitation.id}`)).status).toBe(204);
    expect((await admin.http.delete(`${invitations()}/${invitation.id}`)).status).toBe(404);
    expect((await accept(bob, token)).status).toBe(404);
  });

  it('to be an owner is given, replaced and withdrawn by owners alone', async () => {
    const email = `${randomUUID()}@example.com`;
    const refused = await admin.http.post(invitations(), { email, role: 'owner' });
    expect([refused.status, refused.body.code]).toEqual([403, 'forbidden']);
    const { invitation } = await invite(mail, owner, workspace.id, email, 'owner');
    expect((await admin.http.post(invitations(), { email, role: 'viewer' })).status).toBe(403);
    expect((await admin.http.delete(`${invitations()}/${invitation.id}`)).status).toBe(403);
    expect(await open()).toEqual([[email, 'owner']]);
  });

  it('does not outlive its inviter’s right to invite', async () => {
    const [bob, cid] = [await registerUser(app), await registerUser(app)];
    const one = await invite(mail, admin, workspace.id, bob.user.email, 'admin');
    const path = `/v1/workspaces/${workspace.id}/members/${admin.user.id}`;
    expect((await owner.http.patch(path, { role: 'member' })).status).toBe(200);
    expect((await accept(bob, one.token)).status).toBe(404);
    await owner.http.patch(path, { role: 'admin' });
    const two = await invite(mail, admin, workspace.id, cid.user.email);
    expect((await owner.http.delete(path)).status).toBe(204);
    expect((await accept(cid, two.token)).status).toBe(404);
  });

  it('of a member, beyond the bound, or of anything but one address is refused', async () => {
    const already = await owner.http.post(invitations(), { email: admin.user.email, role: 'viewer' });
    expect([already.status, already.body.code]).toEqual([409, 'already_member']);
    for (const body of [
      { email: 'a@example.com, b@example.com', role: 'viewer' },
      { email: ['a@example.com'], role: 'viewer' },
      { email: 'a@example.com' },
      { email: 'a@example.com', role: 'viewer', token: 'x' },
    ])
      expect((await owner.http.post(invitations(), body)).body.code).toBe('validation_failed');
    await app.sql(
      `INSERT INTO invitations (id, workspace_id, email, role, token_hash, invited_by, expires_at)
       SELECT gen_random_uuid(), $1::uuid, n || '@example.org', 'viewer', sha256(($1::text || n)::bytea), $2, now() + interval '1 day'
       FROM generate_series(1, 100) n`,
      [workspace.id, owner.user.id],
    );
    const over = await owner.http.post(invitations(), { email: 'a@example.com', role: 'viewer' });
    expect([over.status, over.body.code]).toEqual([409, 'too_many_invitations']);
    expect((await owner.http.post(invitations(), { email: '7@example.org', role: 'viewer' })).status).toBe(
      201,
    );
    const page = await owner.http.get<PageAnswer<InvitationAnswer>>(`${invitations()}?limit=60`);
    const rest = await owner.http.get<PageAnswer<InvitationAnswer>>(
      `${invitations()}?limit=60&cursor=${page.body.nextCursor}`,
    );
    expect(new Set([...page.body.data, ...rest.body.data].map(({ id }) => id)).size).toBe(100);
    expect(rest.body.nextCursor).toBeNull();
  });
});
