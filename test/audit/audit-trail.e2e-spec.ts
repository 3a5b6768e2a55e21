import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { addMember, type LoginAnswer, type PageAnswer, PASSWORD, registerUser } from '../support/people.js';
import { until } from '../support/until.js';

interface Entry {
  readonly id: string;
  readonly action: string;
  readonly createdAt: string;
  readonly userId: string | null;
  readonly workspaceId: string | null;
  readonly principalId: string | null;
  readonly address: string;
  readonly userAgent: string | null;
  readonly requestId: string;
  readonly detail: Readonly<Record<string, unknown>>;
}
type Page = PageAnswer<Entry>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let app: TestApp;
beforeAll(async () => void (app = await startAtrium()));
afterAll(() => app.stop());

const login = (email: string, password: string, headers: Record<string, string> = {}) =>
  http(app).post<LoginAnswer>('/v1/auth/login', { email, password }, { headers });

const actions = ({ data }: Page) => data.map(({ action }) => action);

describe('GET /v1/me/audit', () => {
  it('tells what happened to the account, newest first: when, where, by which client and request', async () => {
    const person = await registerUser(app);
    const { id, email } = person.user;
    await login(email, 'not the password', { 'User-Agent': 'Guesser/1', 'X-Request-Id': 'guess-1' });
    const { body } = await login(email, PASSWORD, { 'User-Agent': 'Browser/2', 'X-Request-Id': 'login-1' });
    await http(app, body.accessToken).post('/v1/auth/logout');
    const page = await person.http.get<Page>('/v1/me/audit');
    expect(page.status).toBe(200);
    expect(actions(page.body)).toEqual([
      'session.ended',
      'session.opened',
      'session.refused',
      'session.opened',
    ]);
    const [, opened, refused] = page.body.data;
    expect(opened).toEqual({
      id: expect.stringMatching(UUID),
      action: 'session.opened',
      createdAt: expect.stringMatching(INSTANT),
      userId: id,
      workspaceId: null,
      principalId: id,
      address: '127.0.0.1',
      userAgent: 'Browser/2',
      requestId: 'login-1',
      detail: { sessionId: expect.stringMatching(UUID), amr: 'pwd' },
    });
    expect(refused).toMatchObject({
      userId: id,
      principalId: null,
      userAgent: 'Guesser/1',
      requestId: 'guess-1',
      detail: { amr: 'pwd' },
    });
  });

  it('tells of the reuse of a refresh token', async () => {
    const person = await registerUser(app);
    await app.sql(`UPDATE sessions SET generation = 9 WHERE user_id = $1`, [person.user.id]);
    const { refreshToken } = person;
    expect((await http(app).post('/v1/auth/refresh', { refreshToken })).status).toBe(401);
    const other = await login(person.user.email, PASSWORD);
    const page = await http(app, other.body.accessToken).get<Page>('/v1/me/audit');
    expect(actions(page.body)).toContain('refresh-token.reused');
  });

  it('shows nobody what happened to others', async () => {
    const [one, other] = [await registerUser(app), await registerUser(app)];
    const page = await other.http.get<Page>('/v1/me/audit');
    expect(page.body.data.map(({ userId }) => userId)).toEqual([other.user.id]);
    expect(page.text).not.toContain(one.user.id);
  });

  it('is paged by keyset: what comes meanwhile neither repeats nor hides anything', async () => {
    const person = await registerUser(app);
    for (let n = 0; n < 4; n++) await login(person.user.email, PASSWORD);
    const all = (await person.http.get<Page>('/v1/me/audit')).body.data.map(({ id }) => id);
    expect(all).toHaveLength(5);
    expect(all).toEqual([...all].sort().reverse());
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor ? `&cursor=${cursor}` : '';
      const page: { body: Page } = await person.http.get<Page>(`/v1/me/audit?limit=2${query}`);
      seen.push(...page.body.data.map(({ id }) => id));
      cursor = page.body.nextCursor;
      await login(person.user.email, PASSWORD);
    } while (cursor);
    expect(seen).toEqual(all);
  });

  it.each(['?limit=0', '?limit=101', '?cursor=nonsense', '?user=1'])('refuses %s', async (query) => {
    const person = await registerUser(app);
    expect((await person.http.get(`/v1/me/audit${query}`)).status).toBe(400);
  });

  it('asks for a token', async () => {
    expect((await http(app).get('/v1/me/audit')).status).toBe(401);
  });
});

describe('GET /v1/workspaces/{id}/audit', () => {
  const path = (id: string) => `/v1/workspaces/${id}/audit`;

  it('tells owners and admins of roles and members, by whom and from where', async () => {
    const [owner, admin, member] = [
      await registerUser(app),
      await registerUser(app),
      await registerUser(app),
    ];
    const created = await owner.http.post<{ id: string }>('/v1/workspaces', { name: 'A team' });
    const { id } = created.body;
    await addMember(app, id, admin, 'admin');
    await addMember(app, id, member, 'member');
    const { status } = await owner.http.patch(`/v1/workspaces/${id}/members/${member.user.id}`, {
      role: 'viewer',
    });
    expect(status).toBe(200);
    const page = await until('the change is recorded', async () => {
      const { body } = await admin.http.get<Page>(path(id));
      return body.data.length > 0 && body;
    });
    expect(page.data[0]).toMatchObject({
      action: 'member.updated',
      workspaceId: id,
      userId: member.user.id,
      principalId: owner.user.id,
      address: '127.0.0.1',
      detail: { from: 'member', to: 'viewer' },
    });
    expect((await owner.http.get<Page>(path(id))).body).toEqual(page);
    expect(page.data.every(({ workspaceId }) => workspaceId === id)).toBe(true);
    const paged = await owner.http.get<Page>(`${path(id)}?limit=1`);
    expect(paged.body.data).toEqual(page.data.slice(0, 1));
  });

  it.each(['member', 'viewer'])('is not for a %s', async (role) => {
    const [owner, other] = [await registerUser(app), await registerUser(app)];
    await addMember(app, owner.workspaceId, other, role);
    const answer = await other.http.get(path(owner.workspaceId));
    expect([answer.status, answer.body.code]).toEqual([403, 'forbidden']);
  });

  it('does not exist for who is no member', async () => {
    const [owner, other] = [await registerUser(app), await registerUser(app)];
    const theirs = await other.http.get(path(owner.workspaceId));
    const nobodys = await other.http.get(path('019a0000-0000-7000-8000-000000000000'));
    expect([theirs.status, nobodys.status]).toEqual([404, 404]);
    expect({ ...theirs.body, requestId: '' }).toEqual({ ...nobodys.body, requestId: '' });
  });

  it('is empty when nothing has happened', async () => {
    const owner = await registerUser(app);
    await app.sql(
      `INSERT INTO workspaces (id, name) VALUES ('019a0000-0000-7000-8000-00000000abcd', 'Quiet')`,
    );
    await addMember(app, '019a0000-0000-7000-8000-00000000abcd', owner, 'owner');
    const page = await owner.http.get(path('019a0000-0000-7000-8000-00000000abcd'));
    expect(page.body).toEqual({ data: [], nextCursor: null });
  });
});

describe('The audit trail', () => {
  it('never holds a secret that somebody sent, whatever happened', async () => {
    const secret = (name: string) => `planted-secret-${name}`;
    const person = await registerUser(app, { password: secret('password') });
    const { email } = person.user;
    const sent: (string | undefined)[] = [person.token, person.refreshToken];
    const body = (await login(email, secret('password'))).body;
    sent.push(body.accessToken, body.refreshToken);
    await login(email, secret('wrong-password'));
    await login('unknown@example.com', secret('unknown-password'));
    await http(app).post('/v1/auth/refresh', { refreshToken: secret('refresh') });
    const next = await http(app).post<LoginAnswer>('/v1/auth/refresh', { refreshToken: body.refreshToken });
    sent.push(next.body.refreshToken, next.body.accessToken);
    await app.sql(`UPDATE sessions SET generation = 9 WHERE user_id = $1`, [person.user.id]);
    await http(app).post('/v1/auth/refresh', { refreshToken: body.refreshToken });
    await http(app, secret('bearer')).get('/v1/me');
    const again = (await login(email, secret('password'))).body;
    const mine = http(app, again.accessToken);
    const change = (currentPassword: string, newPassword: string) =>
      mine.post('/v1/auth/change-password', { currentPassword, newPassword });
    await change(secret('wrong-current'), secret('new'));
    expect((await change(secret('password'), secret('new'))).status).toBe(204);
    await mine.get(`/v1/me?token=${secret('query')}`);
    await mine.post('/v1/auth/logout');

    const entries = await app.sql<{ text: string }>('SELECT a::text AS text FROM audit_entries a');
    expect(entries.length).toBeGreaterThan(8);
    const trail = entries.map(({ text }) => text).join('\n');
    expect(trail).not.toMatch(/planted-secret|argon2/);
    for (const token of sent.filter((one) => one !== undefined)) expect(trail).not.toContain(token);
    const hashes = await app.sql<{ hex: string }>(`SELECT encode(seed, 'hex') AS hex FROM sessions`);
    for (const { hex } of hashes) expect(trail).not.toContain(hex);
  });

  it.each([
    ['UPDATE', `UPDATE audit_entries SET address = 'elsewhere'`],
    ['DELETE', `DELETE FROM audit_entries`],
    ['a DELETE that finds nothing', `DELETE FROM audit_entries WHERE false`],
    ['TRUNCATE', `TRUNCATE audit_entries`],
    [
      'an INSERT that would replace',
      `INSERT INTO audit_entries SELECT * FROM audit_entries
      ON CONFLICT (id) DO UPDATE SET action = 'nothing'`,
    ],
  ])('is append-only: the database refuses %s', async (_, statement) => {
    await registerUser(app);
    const before = await app.sql('SELECT * FROM audit_entries ORDER BY id');
    await expect(app.sql(statement)).rejects.toMatchObject({
      code: '42501',
      message: expect.stringMatching(/audit_entries is append-only/),
    });
    expect(await app.sql('SELECT * FROM audit_entries ORDER BY id')).toEqual(before);
  });

  it('outlives the account that it is about', async () => {
    const person = await registerUser(app);
    const gone = await person.http.delete('/v1/me', { json: { password: PASSWORD } });
    expect(gone.status).toBe(204);
    const entries = await app.sql<{ action: string }>(
      'SELECT action FROM audit_entries WHERE user_id = $1 ORDER BY id',
      [person.user.id],
    );
    expect(entries.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['session.opened', 'account.deleted']),
    );
  });
});
