import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { type LoginAnswer, PASSWORD, registerUser, type UserAnswer } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let app: TestApp;
beforeAll(async () => void (app = await sharedAtrium()));
afterAll(() => app.stop());

const register = (body: unknown) => http(app).post<LoginAnswer>('/v1/auth/register', body);
const login = (email: string, password: string) =>
  http(app).post<LoginAnswer>('/v1/auth/login', { email, password });

describe('Registering', () => {
  it('answers the account and tokens that work at once', async () => {
    const answer = await register({ email: 'Grace@Example.com', password: PASSWORD, name: 'Grace' });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toEqual({
      user: {
        id: expect.stringMatching(UUID),
        email: 'grace@example.com',
        emailVerified: false,
        name: 'Grace',
        version: 1,
        createdAt: expect.stringMatching(INSTANT),
        updatedAt: expect.stringMatching(INSTANT),
      },
      accessToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      tokenType: 'Bearer',
      expiresIn: 900,
      refreshToken: expect.stringMatching(/^\S{40,}$/),
    });
    const me = await http(app, answer.body.accessToken).get<UserAnswer>('/v1/me');
    expect(me.status).toBe(200);
    expect(me.body).toEqual(answer.body.user);
    expect(me.headers.get('etag')).toBe('"1"');
  });

  it('signs an access token by RFC 9068: its type, subject, session, audience, issuer and 15 minutes', async () => {
    const { token, user } = await registerUser(app);
    const [header, payload] = token
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, number>);
    expect(header).toEqual({ alg: 'HS256', typ: 'at+jwt' });
    expect(payload).toMatchObject({ sub: user.id, aud: 'atrium', iss: 'atrium' });
    expect(payload.sid).toMatch(UUID);
    expect(payload.exp - payload.iat).toBe(900);
  });

  it('creates a personal workspace that the new account owns', async () => {
    const person = await registerUser(app);
    const list = await person.http.get('/v1/workspaces');
    expect(list.body).toEqual({
      data: [expect.objectContaining({ id: person.workspaceId, personal: true, role: 'owner', version: 1 })],
      nextCursor: null,
    });
    const read = await person.http.get(`/v1/workspaces/${person.workspaceId}`);
    expect(read.status).toBe(200);
    expect(read.headers.get('etag')).toBe('"1"');
  });

  it('shows a workspace to its members only: to others it does not exist', async () => {
    const [one, other] = [await registerUser(app), await registerUser(app)];
    const theirs = await other.http.get(`/v1/workspaces/${one.workspaceId}`);
    const nobodys = await other.http.get('/v1/workspaces/019a0000-0000-7000-8000-000000000000');
    expect([theirs.status, nobodys.status]).toEqual([404, 404]);
    expect({ ...theirs.body, requestId: '' }).toEqual({ ...nobodys.body, requestId: '' });
  });

  it.each(['ada@example.com', 'ADA@EXAMPLE.COM', 'Ada@Example.Com', 'ａda@example.com', 'ada@ｅxample.com'])(
    'takes %s for the account that ada@example.com has',
    async (email) => {
      await register({ email: 'ada@example.com', password: PASSWORD });
      const answer = await register({ email, password: PASSWORD });
      expect(answer.status).toBe(409);
      expect(answer.body).toMatchObject({ code: 'email_taken', status: 409 });
      expect((await login(email, PASSWORD)).body.user.email).toBe('ada@example.com');
    },
  );

  it('lets one of many win who register the same address at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => register({ email: 'race@example.com', password: PASSWORD })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(7).fill(409)]);
    expect(await app.sql('SELECT 1 FROM users WHERE email = $1', ['race@example.com'])).toHaveLength(1);
  });

  it.each([
    ['nothing', ''],
    ['a word', 'ada'],
    ['no domain', 'ada@'],
    ['no name', '@example.com'],
    ['a trailing dot', 'ada@example.com.'],
    ['a space', 'ada@exa mple.com'],
    ['255 characters', `${'a'.repeat(250)}@x.io`],
    ['a list', ['ada@example.com']],
    ['null', null],
  ])('refuses %s as an address', async (_, email) => {
    const answer = await http(app).post('/v1/auth/register', { email, password: PASSWORD });
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([{ pointer: '/email', detail: 'must be an e-mail address' }]);
  });

  it.each([
    ['7 characters', 'sevench', 400],
    ['8 characters', 'eight ch', 201],
    ['128 characters', 'x'.repeat(128), 201],
    ['129 characters', 'x'.repeat(129), 400],
    ['nothing', '', 400],
    ['a number', 12345678, 400],
    ['a list of passwords', ['correct horse battery'], 400],
  ])('with a password of %s', async (_, password, status) => {
    const email = `bounds-${String(password).length}-${typeof password}@example.com`;
    const answer = await http(app).post('/v1/auth/register', { email, password });
    expect(answer.status).toBe(status);
    if (status === 400)
      expect(answer.body.errors).toEqual([
        { pointer: '/password', detail: 'must be a text of 8 to 128 characters' },
      ]);
    else expect((await login(email, String(password))).status).toBe(200);
  });

  it('counts every character of a long password', async () => {
    const password = `${'x'.repeat(127)}a`;
    await register({ email: 'long@example.com', password });
    expect((await login('long@example.com', `${'x'.repeat(127)}b`)).status).toBe(401);
    expect((await login('long@example.com', password)).status).toBe(200);
  });

  it('never hands a password or its hash out', async () => {
    const person = await registerUser(app, { password: 'a very secret passphrase' });
    const me = await person.http.get('/v1/me');
    expect(me.text).not.toMatch(/secret passphrase|argon2|password/i);
  });
});

describe('Logging in', () => {
  it('answers the account with a session of its own', async () => {
    const person = await registerUser(app);
    const answer = await login(person.user.email, person.password);
    expect(answer.status).toBe(200);
    expect(answer.body.user).toEqual(person.user);
    expect(answer.body.refreshToken).not.toBe(person.refreshToken);
    expect((await http(app, answer.body.accessToken).get('/v1/me')).status).toBe(200);
  });

  it('takes a password in any Unicode form, and with the spaces it has', async () => {
    await registerUser(app, { email: 'umlaut@example.com', password: ' Gr\u00fc\u00dfe an alle ' });
    expect((await login('umlaut@example.com', ' Gru\u0308\u00dfe an alle ')).status).toBe(200);
    expect((await login('umlaut@example.com', 'Gr\u00fc\u00dfe an alle')).status).toBe(401);
  });

  it('answers a wrong password and an unknown address alike', async () => {
    const { user } = await registerUser(app);
    const wrong = await http(app).post('/v1/auth/login', { email: user.email, password: 'not the password' });
    const unknown = await http(app).post('/v1/auth/login', {
      email: 'nobody@example.com',
      password: PASSWORD,
    });
    expect(wrong.status).toBe(401);
    expect(wrong.body.code).toBe('invalid_credentials');
    expect(unknown.status).toBe(401);
    expect({ ...unknown.body, requestId: '' }).toEqual({ ...wrong.body, requestId: '' });
    const names = ({ headers }: { headers: Headers }) => [...headers.keys()];
    expect(names(unknown)).toEqual(names(wrong));
  });
});
