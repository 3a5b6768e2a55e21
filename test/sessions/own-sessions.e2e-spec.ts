import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Instance, TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { type LoginAnswer, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connect } from '../support/sockets.js';
import { until } from '../support/until.js';

interface OwnSession {
  readonly id: string;
  readonly device: string | null;
  readonly address: string;
  readonly createdAt: string;
  readonly lastUsedAt: string;
  readonly expiresAt: string;
  readonly current: boolean;
}

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const DAY_MS = 86_400_000;

let app: TestApp;
let elsewhere: Instance;
beforeAll(async () => {
  app = await sharedAtrium();
  elsewhere = await sharedSecondInstance();
});
afterEach(closeSockets);
afterAll(() => app.stop());

const login = async ({ user, password }: Person, device = 'a browser') => {
  const { body } = await http(app).post<LoginAnswer>(
    '/v1/auth/login',
    { email: user.email, password },
    { headers: { 'User-Agent': device } },
  );
  return body;
};
const list = async (token: string, query = '') =>
  (await http(app, token).get<PageAnswer<OwnSession>>(`/v1/me/sessions${query}`)).body;
const statusOfMe = async (token: string, at: { url: string } = app) =>
  (await http(at, token).get('/v1/me')).status;
const refresh = (refreshToken: string, at: { url: string } = app) =>
  http(at).post<LoginAnswer>('/v1/auth/refresh', { refreshToken });

describe('The list of own sessions', () => {
  it('shows device, address, login, last use and end of each, newest first, and which one asks', async () => {
    const person = await registerUser(app);
    const second = await login(person, 'Firefox on the sofa');
    const { data, nextCursor } = await list(second.accessToken);
    expect(nextCursor).toBeNull();
    expect(data).toEqual([
      {
        id: expect.any(String),
        device: 'Firefox on the sofa',
        address: '127.0.0.1',
        createdAt: expect.stringMatching(INSTANT),
        lastUsedAt: expect.stringMatching(INSTANT),
        expiresAt: expect.stringMatching(INSTANT),
        current: true,
      },
      expect.objectContaining({ current: false }),
    ]);
    const [{ createdAt, lastUsedAt, expiresAt }] = data;
    expect(lastUsedAt).toBe(createdAt);
    expect(Date.parse(expiresAt) - Date.parse(lastUsedAt)).toBe(14 * DAY_MS);
  });

  it('shows the latest use, and from where it was', async () => {
    const person = await registerUser(app);
    await app.sql(
      `UPDATE sessions SET address = '203.0.113.9', created_at = now() - interval '1 day',
       rotations = ARRAY[now() - interval '1 day'] WHERE user_id = $1`,
      [person.user.id],
    );
    expect((await list(person.token)).data).toEqual([expect.objectContaining({ address: '203.0.113.9' })]);
    await refresh(person.refreshToken);
    const [session] = (await list(person.token)).data;
    expect(session.address).toBe('127.0.0.1');
    expect(Date.parse(session.lastUsedAt) - Date.parse(session.createdAt)).toBeGreaterThanOrEqual(DAY_MS);
  });

  it('ends with the absolute limit where that comes first', async () => {
    const person = await registerUser(app);
    const end = '2099-01-31T08:00:00.123Z';
    await app.sql(
      `UPDATE sessions SET rotations = ARRAY[timestamptz '2099-01-30'], expires_at = $2 WHERE user_id = $1`,
      [person.user.id, end],
    );
    expect((await list(person.token)).data).toEqual([expect.objectContaining({ expiresAt: end })]);
  });

  it('is paged by keyset, without a session twice or missing', async () => {
    const person = await registerUser(app);
    for (let n = 0; n < 4; n++) await login(person, `device ${n}`);
    const devices: (string | null)[] = [];
    let query = '?limit=2';
    for (let pages = 1; ; pages++) {
      const page = await list(person.token, query);
      devices.push(...page.data.map(({ device }) => device));
      if (page.nextCursor === null) {
        expect(pages).toBe(3);
        break;
      }
      query = `?limit=2&cursor=${page.nextCursor}`;
    }
    expect(devices.slice(0, 4)).toEqual(['device 3', 'device 2', 'device 1', 'device 0']);
    expect(devices).toHaveLength(5);
  });

  it("leaves out what has ended, and is nobody else's", async () => {
    const person = await registerUser(app);
    await registerUser(app);
    const ended = await login(person);
    await http(app, ended.accessToken).post('/v1/auth/logout');
    await login(person, 'idle');
    await login(person, 'expired');
    await app.sql(
      `UPDATE sessions SET rotations = ARRAY[now() - interval '14 days 1 second'] WHERE user_agent = 'idle'`,
    );
    await app.sql(`UPDATE sessions SET expires_at = now() WHERE user_agent = 'expired'`);
    expect((await list(person.token)).data).toEqual([expect.objectContaining({ current: true })]);
  });

  it.each(['?limit=0', '?limit=101', '?cursor=x', '?userId=1'])('refuses %s', async (query) => {
    const person = await registerUser(app);
    expect((await person.http.get(`/v1/me/sessions${query}`)).status).toBe(400);
  });
});

describe('Ending one session', () => {
  it('ends its REST access and sockets (4003), here at once and elsewhere soon', async () => {
    const person = await registerUser(app);
    const lost = await login(person);
    expect(await statusOfMe(lost.accessToken, elsewhere)).toBe(200);
    const sockets = [
      await connect(app, { token: lost.accessToken }),
      await connect(elsewhere, { token: lost.accessToken }),
    ];
    const [{ id }] = (await list(person.token)).data;
    const answer = await person.http.delete(`/v1/me/sessions/${id}`);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(await statusOfMe(lost.accessToken)).toBe(401);
    expect((await refresh(lost.refreshToken, elsewhere)).status).toBe(401);
    await until('refused elsewhere', async () => (await statusOfMe(lost.accessToken, elsewhere)) === 401);
    for (const socket of sockets) expect(await socket.closed).toMatchObject({ code: 4003 });
    expect(await statusOfMe(person.token)).toBe(200);
  });

  it('may be this very one', async () => {
    const person = await registerUser(app);
    const [{ id }] = (await list(person.token)).data;
    expect((await person.http.delete(`/v1/me/sessions/${id}`)).status).toBe(204);
    expect(await statusOfMe(person.token)).toBe(401);
  });

  it("answers somebody else's session, one that has ended and one that never was alike, and ends none", async () => {
    const [person, other] = [await registerUser(app), await registerUser(app)];
    const [theirs] = (await list(other.token)).data;
    await login(person);
    const [ended] = (await list(person.token)).data;
    await person.http.delete(`/v1/me/sessions/${ended.id}`);
    const answers = [];
    for (const id of [theirs.id, ended.id, '019a0000-0000-7000-8000-000000000000'])
      answers.push(await person.http.delete(`/v1/me/sessions/${id}`));
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
    expect(new Set(answers.map(({ body }) => body.detail)).size).toBe(1);
    expect(await statusOfMe(other.token)).toBe(200);
    expect((await person.http.delete('/v1/me/sessions/nonsense')).status).toBe(400);
  });
});

describe('logout-all', () => {
  it('ends every session of the account on every instance, and nobody else', async () => {
    const [person, other] = [await registerUser(app), await registerUser(app)];
    const more = [await login(person), await login(person)];
    const tokens = [person.token, ...more.map(({ accessToken }) => accessToken)];
    for (const token of tokens) expect(await statusOfMe(token, elsewhere)).toBe(200);
    const answer = await http(app, more[0].accessToken).post('/v1/auth/logout-all');
    expect([answer.status, answer.text]).toEqual([204, '']);
    for (const token of tokens) {
      expect(await statusOfMe(token)).toBe(401);
      await until('refused elsewhere', async () => (await statusOfMe(token, elsewhere)) === 401);
    }
    for (const { refreshToken } of [person, ...more]) expect((await refresh(refreshToken)).status).toBe(401);
    expect(await statusOfMe(other.token)).toBe(200);
    expect((await login(person)).accessToken).toEqual(expect.any(String));
  });

  it('asks for a token', async () => {
    expect((await http(app).post('/v1/auth/logout-all')).status).toBe(401);
  });
});

describe('What security events leave in the audit trail', () => {
  const trail = (userId: string) =>
    app.sql<{
      action: string;
      detail: Record<string, unknown>;
      address: string;
      agent: string;
      request: string;
    }>(
      `SELECT action, detail, address, user_agent AS agent, request_id AS request FROM audit_entries
       WHERE user_id = $1 ORDER BY id`,
      [userId],
    );

  it('is who, what, from where and in which request; never a secret', async () => {
    const person = await registerUser(app);
    const email = person.user.email;
    await http(app).post(
      '/v1/auth/login',
      { email, password: 'not the password' },
      { headers: { 'User-Agent': 'curious', 'X-Request-Id': 'guess-1' } },
    );
    const second = await login(person);
    await http(app, second.accessToken).post('/v1/auth/logout');
    await person.http.post('/v1/auth/logout-all');
    const strict = await app.startSecondInstance({ REFRESH_GRACE_SECONDS: '0' });
    const third = await login(person);
    await refresh(third.refreshToken, strict);
    await refresh(third.refreshToken, strict);

    const entries = await trail(person.user.id);
    expect(entries.map(({ action }) => action)).toEqual([
      'session.opened',
      'session.refused',
      'session.opened',
      'session.ended',
      'session.ended',
      'session.opened',
      'refresh-token.reused',
    ]);
    expect(entries[1]).toMatchObject({ address: '127.0.0.1', agent: 'curious', request: 'guess-1' });
    expect([entries[3], entries[4]]).toMatchObject([
      { detail: { reason: 'logout' } },
      { detail: { reason: 'logout-all' } },
    ]);
    const text = JSON.stringify(entries);
    for (const secret of ['atr_', 'eyJ', 'password', person.password, email])
      expect(text).not.toContain(secret);
  });

  it('knows of a login to an address that nobody has, too', async () => {
    const requestId = 'nobody-here';
    await http(app).post(
      '/v1/auth/login',
      { email: 'nobody@example.com', password: 'a guess' },
      { headers: { 'X-Request-Id': requestId } },
    );
    const entries = await app.sql<{ action: string; user_id: string | null }>(
      'SELECT action, user_id FROM audit_entries WHERE request_id = $1',
      [requestId],
    );
    expect(entries).toEqual([{ action: 'session.refused', user_id: null }]);
  });
});
