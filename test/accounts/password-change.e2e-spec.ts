import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { OwnPassword } from '../../src/accounts/own-password.js';
import type { ClientInfo } from '../../src/common/client-info.js';
import { Transactions } from '../../src/database/transactions.js';
import { SessionsService } from '../../src/sessions/sessions.service.js';
import type { Instance, TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { type LoginAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connect } from '../support/sockets.js';
import { until } from '../support/until.js';

/**
 * Rounds of the race between refreshes and a password change; each has 50 racers. The usual 20 keep the run
 * short; `RACE_ROUNDS=200` is the long form (docs/security.md).
 */
const ROUNDS = Number(process.env.RACE_ROUNDS ?? 20);
const RACERS = 50;
const NEW_PASSWORD = 'another long passphrase';
const CLIENT: ClientInfo = { address: '127.0.0.1', userAgent: null, requestId: 'race' };

let app: TestApp;
let elsewhere: Instance;
beforeAll(async () => {
  app = await sharedAtrium();
  elsewhere = await sharedSecondInstance();
});
afterEach(closeSockets);
afterAll(() => app.stop());

const login = async (person: Person, password = person.password, at: { url: string } = app) =>
  http(at).post<LoginAnswer & { code: string }>('/v1/auth/login', { email: person.user.email, password });
const change = (person: Person, more: object = {}, at: { url: string } = app) =>
  http(at, person.token).post('/v1/auth/change-password', {
    currentPassword: person.password,
    newPassword: NEW_PASSWORD,
    ...more,
  });
const refresh = (refreshToken: string, at: { url: string } = app) =>
  http(at).post<LoginAnswer>('/v1/auth/refresh', { refreshToken });
const statusOfMe = async (token: string, at: { url: string } = app) =>
  (await http(at, token).get('/v1/me')).status;
const living = async (userId: string) =>
  (
    await app.sql<{ id: string }>('SELECT id FROM sessions WHERE user_id = $1 AND revoked_at IS NULL', [
      userId,
    ])
  ).map(({ id }) => id);

describe('Changing the password', () => {
  it('ends the other sessions and their sockets on every instance; this one goes on', async () => {
    const person = await registerUser(app);
    const other = (await login(person)).body;
    expect(await statusOfMe(other.accessToken, elsewhere)).toBe(200);
    const socket = await connect(elsewhere, { token: other.accessToken });
    const answer = await change(person);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(await statusOfMe(other.accessToken)).toBe(401);
    await until('refused elsewhere', async () => (await statusOfMe(other.accessToken, elsewhere)) === 401);
    expect(await socket.closed).toMatchObject({ code: 4003 });
    expect((await refresh(other.refreshToken)).status).toBe(401);

    expect(await statusOfMe(person.token)).toBe(200);
    expect((await refresh(person.refreshToken)).status).toBe(200);
    expect((await login(person)).status).toBe(401);
    expect((await login(person, NEW_PASSWORD)).status).toBe(200);
  });

  it('leaves the other sessions alive when told to', async () => {
    const person = await registerUser(app);
    const other = (await login(person)).body;
    expect((await change(person, { endOtherSessions: false })).status).toBe(204);
    expect(await statusOfMe(other.accessToken)).toBe(200);
    expect((await refresh(other.refreshToken)).status).toBe(200);
  });

  it('is refused without the current password, and then changes and ends nothing', async () => {
    const person = await registerUser(app);
    const other = (await login(person)).body;
    const answer = await change(person, { currentPassword: 'not the password' });
    expect([answer.status, answer.body.code]).toEqual([403, 'wrong_password']);
    expect(await statusOfMe(other.accessToken)).toBe(200);
    expect((await login(person)).status).toBe(200);
  });

  it.each([
    ['newPassword', 'short'],
    ['newPassword', 'x'.repeat(129)],
    ['newPassword', ['another long passphrase']],
    ['currentPassword', 7],
    ['currentPassword', 'x'.repeat(1_025)],
    ['endOtherSessions', 'false'],
    ['endOtherSessions', null],
  ])('refuses as %s: %p', async (name, value) => {
    const person = await registerUser(app);
    const answer = await change(person, { [name]: value });
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([{ pointer: `/${name}`, detail: expect.any(String) }]);
  });

  it('of an account without one says how to get one', async () => {
    const person = await registerUser(app);
    await app.sql('UPDATE users SET password_hash = NULL WHERE id = $1', [person.user.id]);
    const answer = await change(person);
    expect([answer.status, answer.body.code]).toEqual([409, 'password_not_set']);
  });

  it('is written down, without a word of the passwords', async () => {
    const person = await registerUser(app);
    await login(person);
    await change(person, { currentPassword: 'not the password' });
    await change(person);
    const entries = await app.sql<{ action: string }>(
      `SELECT action, detail FROM audit_entries WHERE user_id = $1 AND action NOT LIKE 'session.opened' ORDER BY id`,
      [person.user.id],
    );
    expect(entries.map(({ action }) => action)).toEqual([
      'password.refused',
      'password.changed',
      'session.ended',
    ]);
    expect(JSON.stringify(entries)).not.toMatch(/passphrase|battery|argon2/);
  });

  it('of two changes from the same password one wins', async () => {
    const person = await registerUser(app);
    const answers = await Promise.all([
      change(person, { newPassword: 'the first passphrase' }),
      change(person, { newPassword: 'the second passphrase' }, elsewhere),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 403]);
    const logins = [
      await login(person, 'the first passphrase'),
      await login(person, 'the second passphrase'),
    ];
    expect(logins.map(({ status }) => status)).toEqual(answers[0].status === 204 ? [200, 401] : [401, 200]);
  });
});

describe('A password change that races', () => {
  it('with refreshes over HTTP on two instances leaves no token of the old generation alive', async () => {
    const person = await registerUser(app);
    const other = (await login(person)).body;
    const racers = Array.from({ length: RACERS }, (_, n) =>
      refresh(other.refreshToken, n % 2 ? app : elsewhere),
    );
    const changed = await change(person);
    expect(changed.status).toBe(204);
    const answers = await Promise.all(racers);
    for (const { status } of answers) expect([200, 401]).toContain(status);
    const raced = answers.filter(({ status }) => status === 200).map(({ body }) => body);
    for (const refreshToken of new Set(raced.map((answer) => answer.refreshToken)))
      expect((await refresh(refreshToken)).status).toBe(401);
    for (const accessToken of new Set(raced.map((answer) => answer.accessToken)))
      await until(
        'a raced access token is refused',
        async () => (await statusOfMe(accessToken, elsewhere)) === 401,
      );
    expect(await living(person.user.id)).toHaveLength(1);
  });

  it(`with ${RACERS} refreshes on two instances leaves none alive, in ${ROUNDS} rounds`, async () => {
    const sessions = [app, elsewhere].map(({ nest }) => nest.get(SessionsService));
    const ownPassword = app.nest.get(OwnPassword);
    const transactions = app.nest.get(Transactions);
    const person = await registerUser(app);
    const [{ id: userId, hash }] = await app.sql<{ id: string; hash: string }>(
      'SELECT id, password_hash AS hash FROM users WHERE id = $1',
      [person.user.id],
    );
    const count = { won: 0, refused: 0, alive: 0 };
    for (let round = 1; round <= ROUNDS; round++) {
      const user = { ...person.user, id: userId, credentialsVersion: round } as never;
      const opened = await sessions[round % 2].open(withDates(user), ['pwd'], CLIENT);
      const token = opened.refreshToken;
      const race = (n: number) =>
        sessions[n % 2].refresh(token, undefined, CLIENT).then(
          ({ refreshToken }) => refreshToken,
          () => undefined,
        );
      // The change starts at another moment of the race each round; who wins is the database's to say.
      const racers = Array.from({ length: RACERS / 2 }, (_, n) => race(n));
      if (round % 4 > 0) await Promise.any(racers.slice(round % 4 === 1 ? 0 : round % racers.length));
      const changing = transactions.run((manager) =>
        ownPassword.replace(manager, {
          userId,
          credentialsVersion: round,
          passwordHash: hash,
          ends: 'all',
        }),
      );
      racers.push(...Array.from({ length: RACERS / 2 }, (_, n) => race(n)));
      (await changing)();
      for (const won of new Set(await Promise.all(racers))) {
        if (won === undefined) count.refused++;
        else {
          count.won++;
          const next = await sessions[0].refresh(won, undefined, CLIENT).catch(() => undefined);
          if (next) count.alive++;
        }
      }
      expect(await living(userId)).toEqual([]);
    }
    expect(count.alive).toBe(0);
    // Otherwise it would not have been a race.
    expect(count.won).toBeGreaterThan(0);
    expect(count.refused).toBeGreaterThan(0);
  });

  it('with logins by the old password leaves no session of theirs', async () => {
    const person = await registerUser(app);
    const logins = Array.from({ length: 20 }, (_, n) =>
      login(person, person.password, n % 2 ? app : elsewhere),
    );
    const changed = await change(person);
    expect(changed.status).toBe(204);
    for (const { status, body } of await Promise.all(logins)) {
      expect([200, 401]).toContain(status);
      if (status === 200) expect((await refresh(body.refreshToken)).status).toBe(401);
    }
    expect(await living(person.user.id)).toHaveLength(1);
  });

  it('with a proof that was given before it opens no session after', async () => {
    const person = await registerUser(app);
    const sessions = app.nest.get(SessionsService);
    const before = withDates({ ...person.user, credentialsVersion: 1 } as never);
    await sessions.open(before, ['pwd'], CLIENT);
    await change(person);
    await expect(sessions.open(before, ['pwd'], CLIENT)).rejects.toMatchObject({
      code: 'invalid_credentials',
    });
  });
});

/** What an answer says of a user, as the services know it. */
function withDates<User extends { createdAt: Date }>(user: User): User {
  return { ...user, createdAt: new Date(0), updatedAt: new Date(0), emailVerifiedAt: null };
}
