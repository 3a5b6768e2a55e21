import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { AccountsService } from '../../src/accounts/accounts.service.js';
import type { Instance, TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import {
  addMember,
  createItem,
  type LoginAnswer,
  type Person,
  registerUser,
  type UserAnswer,
} from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connect } from '../support/sockets.js';
import { until } from '../support/until.js';

let app: TestApp;
let elsewhere: Instance;
beforeAll(async () => {
  app = await sharedAtrium();
  elsewhere = await sharedSecondInstance();
});
afterEach(closeSockets);
afterAll(() => app.stop());

const login = ({ user, password }: Person) =>
  http(app).post<LoginAnswer & { code: string }>('/v1/auth/login', { email: user.email, password });
const statusOfMe = async (token: string, at: { url: string } = app) =>
  (await http(at, token).get('/v1/me')).status;
const remove = (person: Person, json: unknown = { password: person.password }) =>
  person.http.delete('/v1/me', { json });

/** A workspace that is not personal, with these members. */
async function sharedWorkspace(name: string, ...members: [Person, string][]): Promise<string> {
  const [{ id }] = await app.sql<{ id: string }>(
    `WITH made AS (INSERT INTO workspaces (id, name) VALUES (gen_random_uuid(), $1) RETURNING id),
       stream AS (INSERT INTO streams (id) SELECT id FROM made)
     SELECT id FROM made`,
    [name],
  );
  for (const [person, role] of members) await addMember(app, id, person, role);
  return id;
}

describe('Changing the own account', () => {
  it('changes the name, and the version that is its ETag', async () => {
    const person = await registerUser(app, { name: 'Ada' });
    const answer = await person.http.patch<UserAnswer>('/v1/me', { name: 'Ada Lovelace' });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      ...person.user,
      name: 'Ada Lovelace',
      version: 2,
      updatedAt: expect.any(String),
    });
    expect(answer.headers.get('etag')).toBe('"2"');
    expect((await person.http.get('/v1/me')).body).toEqual(answer.body);
    const removed = await person.http.patch<UserAnswer>('/v1/me', { name: null });
    expect(removed.body.name).toBeNull();
  });

  it('refuses a change that starts from an older version, and writes nothing', async () => {
    const person = await registerUser(app, { name: 'Ada' });
    const withMatch = (name: string, ifMatch: string) =>
      person.http.patch<UserAnswer & { code: string }>(
        '/v1/me',
        { name },
        { headers: { 'If-Match': ifMatch } },
      );
    expect((await withMatch('one', '"1"')).status).toBe(200);
    const late = await withMatch('two', '"1"');
    expect([late.status, late.body.code, late.headers.get('etag')]).toEqual([412, 'version_mismatch', '"2"']);
    expect((await person.http.get<UserAnswer>('/v1/me')).body).toMatchObject({ name: 'one', version: 2 });
    expect((await withMatch('three', '*')).status).toBe(200);
    expect((await withMatch('four', 'nonsense')).status).toBe(400);
  });

  it('lets one of many win who start from the same version', async () => {
    const person = await registerUser(app);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        person.http.patch('/v1/me', { name: `name ${n}` }, { headers: { 'If-Match': '"1"' } }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(9).fill(412)]);
  });

  it.each(['', 'x'.repeat(201), 7, ['Ada'], {}])('refuses %p as a name', async (name) => {
    const person = await registerUser(app);
    const answer = await person.http.patch('/v1/me', { name });
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([
      { pointer: '/name', detail: 'must be a text of 1 to 200 characters, or null' },
    ]);
  });
});

describe('Nobody gets more than a route takes', () => {
  const extras = [
    'id',
    'email',
    'emailVerified',
    'emailVerifiedAt',
    'passwordHash',
    'credentialsVersion',
    'disabledAt',
    'version',
    'userId',
    'role',
    'constructor',
  ];
  it.each([
    ['PATCH', '/v1/me', { name: 'Eve' }],
    ['DELETE', '/v1/me', { password: 'correct horse battery' }],
    ['POST', '/v1/auth/register', { email: 'eve@example.com', password: 'correct horse battery' }],
    ['POST', '/v1/auth/login', { email: 'eve@example.com', password: 'correct horse battery' }],
    ['POST', '/v1/auth/refresh', { refreshToken: 'atr_x' }],
    ['POST', '/v1/auth/logout', { refreshToken: 'atr_x' }],
    [
      'POST',
      '/v1/auth/change-password',
      { currentPassword: 'correct horse battery', newPassword: 'another long passphrase' },
    ],
  ])('%s %s names every property that is not its own', async (method, path, json) => {
    const person = await registerUser(app);
    const bearer = path === '/v1/auth/logout' ? http(app) : person.http;
    for (const name of extras.filter((extra) => !(extra in json))) {
      const answer = await bearer.call(method, path, {
        raw: JSON.stringify(json).replace('{', `{${JSON.stringify(name)}:1,`),
      });
      expect(answer.status).toBe(400);
      expect(answer.body.errors).toEqual([
        { pointer: `/${name}`, detail: 'is not a property of this request' },
      ]);
    }
    expect((await person.http.get('/v1/me')).body).toEqual(person.user);
  });
});

describe('Disabling an account', () => {
  it('ends its sessions and sockets on every instance, and refuses its logins like a wrong password', async () => {
    const person = await registerUser(app);
    expect(await statusOfMe(person.token, elsewhere)).toBe(200);
    const socket = await connect(elsewhere, { token: person.token });
    const accounts = app.nest.get(AccountsService);
    expect(await accounts.disable(person.user.id)).toBe(true);
    expect(await statusOfMe(person.token)).toBe(401);
    await until('refused elsewhere', async () => (await statusOfMe(person.token, elsewhere)) === 401);
    expect(await socket.closed).toMatchObject({ code: 4003 });
    const { refreshToken } = person;
    expect((await http(app).post('/v1/auth/refresh', { refreshToken })).status).toBe(401);
    const refused = await login(person);
    const wrong = await login({ ...person, password: 'not the password' });
    expect(refused.status).toBe(401);
    expect({ ...refused.body, requestId: '' }).toEqual({ ...wrong.body, requestId: '' });

    expect(await accounts.enable(person.user.id)).toBe(true);
    expect((await login(person)).status).toBe(200);
    expect(await statusOfMe(person.token)).toBe(401);
    const audit = await app.sql<{ action: string }>(
      `SELECT action FROM audit_entries WHERE user_id = $1 AND action LIKE 'account.%' ORDER BY id`,
      [person.user.id],
    );
    expect(audit.map(({ action }) => action)).toEqual(['account.disabled', 'account.enabled']);
  });

  it('of nobody says so', async () => {
    const accounts = app.nest.get(AccountsService);
    const nobody = '019a0000-0000-7000-8000-000000000000';
    expect([await accounts.disable(nobody), await accounts.enable(nobody)]).toEqual([false, false]);
  });
});

describe('Deleting the own account', () => {
  it('ends its sessions on every instance, and leaves no login and nothing of its workspace', async () => {
    const person = await registerUser(app);
    const item = await createItem(person);
    expect(await statusOfMe(person.token, elsewhere)).toBe(200);
    const answer = await remove(person);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(await statusOfMe(person.token)).toBe(401);
    await until('refused elsewhere', async () => (await statusOfMe(person.token, elsewhere)) === 401);
    const { refreshToken } = person;
    expect((await http(app).post('/v1/auth/refresh', { refreshToken })).status).toBe(401);
    expect((await http(app).post('/v1/auth/logout', { refreshToken })).status).toBe(401);
    expect((await login(person)).status).toBe(401);
    const left = await app.sql<{ n: string }>(
      `SELECT (SELECT count(*) FROM users WHERE id = $1) + (SELECT count(*) FROM workspaces WHERE id = $2)
         + (SELECT count(*) FROM items WHERE id = $3) + (SELECT count(*) FROM memberships WHERE principal_id = $1)
         + (SELECT count(*) FROM events WHERE stream_id = $2)
         + (SELECT count(*) FROM sessions WHERE user_agent IS NOT NULL AND revoked_reason = 'account-deleted') AS n`,
      [person.user.id, person.workspaceId, item.id],
    );
    expect(left).toEqual([{ n: '0' }]);
    const later = await app.startSecondInstance();
    expect(await statusOfMe(person.token, later)).toBe(401);
  });

  it('frees the address', async () => {
    const person = await registerUser(app);
    await remove(person);
    const again = await registerUser(app, { email: person.user.email });
    expect(again.user.id).not.toBe(person.user.id);
  });

  it('asks for the password, and does nothing without it', async () => {
    const person = await registerUser(app);
    const wrong = await remove(person, { password: 'not the password' });
    expect([wrong.status, wrong.body.code]).toEqual([403, 'wrong_password']);
    for (const options of [{}, { json: {} }, { json: { password: null } }, { json: { password: ['x'] } }]) {
      const answer = await person.http.delete('/v1/me', options);
      expect(answer.status).toBe(400);
      expect(answer.body.errors).toEqual([expect.objectContaining({ pointer: '/password' })]);
    }
    expect(await statusOfMe(person.token)).toBe(200);
  });

  it('is refused by name while it is the only owner of other workspaces, and then nothing is gone', async () => {
    const [person, other] = [await registerUser(app), await registerUser(app)];
    const acme = await sharedWorkspace('Acme', [person, 'owner'], [other, 'admin']);
    await sharedWorkspace('Shared', [person, 'owner'], [other, 'owner']);
    const answer = await remove(person);
    expect([answer.status, answer.body.code]).toEqual([409, 'owns_workspaces']);
    expect(answer.body.detail).toContain(`"Acme" (${acme})`);
    expect(answer.body.detail).not.toContain('Shared');
    expect(await statusOfMe(person.token)).toBe(200);
    expect((await person.http.get(`/v1/workspaces/${person.workspaceId}`)).status).toBe(200);
    await app.sql(`UPDATE memberships SET role = 'owner' WHERE workspace_id = $1`, [acme]);
    expect((await remove(person)).status).toBe(204);
    expect((await other.http.get(`/v1/workspaces/${acme}`)).status).toBe(200);
    const told = await app.sql<{ type: string }>('SELECT type FROM events WHERE stream_id = $1', [acme]);
    expect(told).toEqual([{ type: 'member.removed' }]);
  });

  it('of two owners who delete theirs at once one stays', async () => {
    for (let round = 0; round < 5; round++) {
      const [one, two] = [await registerUser(app), await registerUser(app)];
      await sharedWorkspace('Ours', [one, 'owner'], [two, 'owner']);
      const answers = await Promise.all([remove(one), remove(two)]);
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 409]);
    }
  });

  it('an account without a password is told how to get one', async () => {
    const person = await registerUser(app);
    await app.sql('UPDATE users SET password_hash = NULL WHERE id = $1', [person.user.id]);
    const answer = await remove(person);
    expect([answer.status, answer.body.code]).toEqual([409, 'password_not_set']);
    expect(await statusOfMe(person.token)).toBe(200);
  });
});
