import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Instance, TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { type LoginAnswer, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';

let app: TestApp;
/** The same database without any grace for a token that comes back. */
let strict: Instance;
beforeAll(async () => {
  app = await sharedAtrium();
  strict = await app.startSecondInstance({ REFRESH_GRACE_SECONDS: '0' });
});
afterAll(() => app.stop());

const refresh = (refreshToken: unknown, at: { url: string } = app) =>
  http(at).post<LoginAnswer & { code: string }>('/v1/auth/refresh', { refreshToken });

const isLoggedIn = async (answer: { accessToken: string }, at: { url: string } = app) =>
  (await http(at, answer.accessToken).get('/v1/me')).status === 200;

describe('Refreshing', () => {
  it('trades a refresh token for the next pair, as often as needed', async () => {
    const person = await registerUser(app);
    const seen = new Set([person.refreshToken]);
    let newest = person.refreshToken;
    for (let round = 0; round < 5; round++) {
      const answer = await refresh(newest);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect(answer.body.user).toEqual(person.user);
      expect(await isLoggedIn(answer.body)).toBe(true);
      newest = answer.body.refreshToken;
      expect(seen.has(newest)).toBe(false);
      seen.add(newest);
    }
  });

  it('gives fifty callers who race with one token one and the same successor, and none of them an error', async () => {
    const { refreshToken } = await registerUser(app);
    const second = await sharedSecondInstance();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => refresh(refreshToken, n % 2 ? app : second)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const successors = new Set(answers.map(({ body }) => body.refreshToken));
    expect(successors.size).toBe(1);
    expect((await refresh([...successors][0])).status).toBe(200);
  });

  it('gives a client that lost the answer the same successor, even after that was used by another tab', async () => {
    const { refreshToken } = await registerUser(app);
    const first = await refresh(refreshToken);
    const next = await refresh(first.body.refreshToken);
    const again = await refresh(refreshToken);
    expect(again.status).toBe(200);
    expect(again.body.refreshToken).toBe(first.body.refreshToken);
    expect((await refresh(next.body.refreshToken)).status).toBe(200);
  });

  it('ends the session when a used token comes back after the grace, although that call fails', async () => {
    const thief = await registerUser(app);
    const stolen = thief.refreshToken;
    const owner = await refresh(stolen, strict);
    expect(owner.status).toBe(200);

    const reuse = await refresh(stolen, strict);
    expect(reuse.status).toBe(401);
    expect(reuse.body.code).toBe('invalid_refresh_token');

    expect((await refresh(owner.body.refreshToken, strict)).status).toBe(401);
    expect((await refresh(owner.body.refreshToken, app)).status).toBe(401);
    expect(await isLoggedIn(owner.body, strict)).toBe(false);
    const [session] = await app.sql<{ reason: string }>(
      'SELECT revoked_reason AS reason FROM sessions WHERE user_id = $1',
      [thief.user.id],
    );
    expect(session.reason).toBe('reuse');
  });

  it('ends only the session whose token came back, not the others of the account', async () => {
    const person = await registerUser(app);
    const login = await http(app).post<LoginAnswer>('/v1/auth/login', {
      email: person.user.email,
      password: person.password,
    });
    await refresh(person.refreshToken, strict);
    expect((await refresh(person.refreshToken, strict)).status).toBe(401);
    expect((await refresh(login.body.refreshToken, strict)).status).toBe(200);
  });

  it.each([
    ['a changed proof', (token: string) => token.slice(0, -4) + (token.endsWith('AAAA') ? 'BBBB' : 'AAAA')],
    ['a token cut short', (token: string) => token.slice(0, -2)],
    ['another prefix', (token: string) => token.replace('atr_', 'xyz_')],
    ['an access token', () => 'eyJhbGciOiJub25lIn0.e30.'],
    ['an empty text', () => ''],
  ])('refuses %s and leaves the session as it was', async (_, forge) => {
    const { refreshToken } = await registerUser(app);
    const forged = await refresh(forge(refreshToken), strict);
    expect(forged.status).toBe(401);
    expect(forged.body.code).toBe('invalid_refresh_token');
    expect((await refresh(refreshToken, strict)).status).toBe(200);
  });

  it('refuses a token with a later number, since only its own family can derive it', async () => {
    const { refreshToken } = await registerUser(app);
    const bytes = Buffer.from(refreshToken.slice('atr_'.length), 'base64url');
    bytes.writeUInt32BE(2, 16);
    expect((await refresh(`atr_${bytes.toString('base64url')}`)).status).toBe(401);
    expect((await refresh(refreshToken)).status).toBe(200);
  });

  it('ends with the inactivity limit, however young the session', async () => {
    const { refreshToken, user } = await registerUser(app);
    await app.sql(
      `UPDATE sessions SET rotations = ARRAY[now() - interval '14 days 1 second'] WHERE user_id = $1`,
      [user.id],
    );
    expect((await refresh(refreshToken)).status).toBe(401);
  });

  it('ends with the absolute limit, however busy the session', async () => {
    const { refreshToken, user } = await registerUser(app);
    const newest = (await refresh(refreshToken)).body.refreshToken;
    const [limit] = await app.sql<{ days: number }>(
      `SELECT (EXTRACT(epoch FROM expires_at - created_at) / 86400)::float AS days FROM sessions WHERE user_id = $1`,
      [user.id],
    );
    expect(limit.days).toBeCloseTo(90, 3);
    await app.sql('UPDATE sessions SET expires_at = now() WHERE user_id = $1', [user.id]);
    expect((await refresh(newest)).status).toBe(401);
  });
});
