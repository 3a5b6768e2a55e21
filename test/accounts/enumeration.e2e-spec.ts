import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Passwords } from '../../src/accounts/passwords.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { type Answer, http } from '../support/http.js';
import { type LoginAnswer, PASSWORD, registerUser } from '../support/people.js';
import { type MailServer, startMailServer, tokenIn } from '../support/smtp.js';

/** What instances ask the database by themselves, now and then. */
const BACKGROUND =
  /revoked_at > now|FROM streams|pg_control|attempts WHERE|\binstances\b|\bpresences\b|idempotency_keys|notify|language_changed_at|(UPDATE|DELETE FROM) jobs\.|DELETE FROM (sessions|audit_entries)/i;

let statements: string[] = [];
let hashes = 0;
let mail: MailServer;
let app: TestApp;
beforeAll(async () => {
  mail = await startMailServer();
  app = await startAtrium({ SMTP_URL: mail.url, REGISTRATION_CONFIRMATION: 'email', RATE_LIMIT: 'off' });
  const passwords = app.nest.get(Passwords);
  const [hash, matches] = [passwords.hash.bind(passwords), passwords.matches.bind(passwords)];
  passwords.hash = (...parameters) => (hashes++, hash(...parameters));
  passwords.matches = (...parameters) => (hashes++, matches(...parameters));
});
afterAll(async () => {
  await app.stop();
  await mail.stop();
});

/** What a request cost: its statements by kind, and how many passwords were hashed. */
interface Cost {
  readonly statements: string[];
  readonly hashes: number;
}

const driver = Object.getOwnPropertyDescriptor(pg.Client.prototype, 'query')!;
beforeEach(() => {
  const query = driver.value as (this: pg.Client, ...parameters: unknown[]) => unknown;
  const counting = function (this: pg.Client, ...parameters: unknown[]) {
    const [first] = parameters;
    const text = typeof first === 'string' ? first : ((first as { text?: string } | undefined)?.text ?? '');
    const [kind] = /\b(INSERT|UPDATE|DELETE)\b/.exec(text) ?? /\w+/.exec(text) ?? [''];
    const isOwn = app.databaseUrl.includes(`/${this.database}`);
    if (isOwn && !BACKGROUND.test(text))
      statements.push(text.includes('one_time_tokens (hash') ? 'INSERT' : kind);
    return query.apply(this, parameters);
  };
  Object.defineProperty(pg.Client.prototype, 'query', { ...driver, value: counting });
});
afterEach(() => {
  Object.defineProperty(pg.Client.prototype, 'query', driver);
});

async function measured<Body>(call: () => Promise<Answer<Body>>): Promise<Cost & { answer: Answer<Body> }> {
  [statements, hashes] = [[], 0];
  const answer = await call();
  return { answer, statements: [...statements], hashes };
}

/** An answer without what differs between any two requests. */
const face = ({ status, headers, text }: Answer) => ({
  status,
  headers: [...headers].filter(([name]) => !['date', 'x-request-id'].includes(name)),
  body: text.replace(/"requestId":"[^"]*"/, ''),
});

/** Creates an account as people do here. */
async function join(email: string): Promise<LoginAnswer> {
  await register(email);
  const token = tokenIn(await mail.mailTo(email, /Complete your registration/));
  const answer = await http(app).post<LoginAnswer>('/v1/auth/confirm-registration', {
    token,
    password: PASSWORD,
  });
  expect(answer.status).toBe(201);
  return answer.body;
}

const register = (email: string, password = PASSWORD) =>
  http(app).post('/v1/auth/register', { email, password });
const forgot = (email: string) => http(app).post('/v1/auth/forgot-password', { email });
const login = (email: string, password = 'not the password') =>
  http(app).post('/v1/auth/login', { email, password });
const confirm = (token: string, password = PASSWORD) =>
  http(app).post<LoginAnswer>('/v1/auth/confirm-registration', { token, password });

describe('Known and unknown addresses get the same answer at the same cost', () => {
  it.each<[name: string, call: (email: string) => Promise<Answer>]>([
    ['register', (email) => register(email)],
    ['forgot-password', forgot],
    ['login', (email) => login(email)],
  ])('from %s', async (name, call) => {
    await join(`${name}-known@example.com`);
    const known = await measured(() => call(`${name}-known@example.com`));
    const unknown = await measured(() => call(`${name}-nobody@example.com`));
    expect(face(unknown.answer)).toEqual(face(known.answer));
    expect(unknown.statements.length).toBeGreaterThan(1);
    expect(unknown.statements).toEqual(known.statements);
    expect(unknown.hashes).toBe(known.hashes);
    expect(known.hashes).toBe(name === 'forgot-password' ? 0 : 1);
  });

  it('also from forgot-password once enough mails were sent', async () => {
    await join('enough@example.com');
    const costs: Cost[] = [];
    for (let count = 0; count < 7; count++) costs.push(await measured(() => forgot('enough@example.com')));
    expect(new Set(costs.map((cost) => cost.statements.join()))).toHaveProperty('size', 1);
  });
});

describe('A registration that is confirmed by mail', () => {
  it('is no account until it is confirmed with its password, and then logs in with a proven address', async () => {
    const email = 'new@example.com';
    const answer = await register(email);
    expect(answer.status).toBe(202);
    expect(answer.body).toEqual({ confirmationRequired: true });
    expect(await app.sql('SELECT 1 FROM users WHERE email = $1', [email])).toEqual([]);
    expect((await login(email, PASSWORD)).status).toBe(401);
    const token = tokenIn(await mail.mailTo(email, /Complete/));
    expect((await confirm(token, 'somebody else’s')).status).toBe(401);
    const joined = await confirm(token);
    expect(joined.status).toBe(201);
    expect(joined.body.user).toMatchObject({ email, emailVerified: true });
    expect((await http(app, joined.body.accessToken).get('/v1/me')).status).toBe(200);
    expect(
      (await http(app, joined.body.accessToken).get<{ data: unknown[] }>('/v1/workspaces')).body.data,
    ).toHaveLength(1);
    expect((await confirm(token)).body).toMatchObject({ status: 400 });
  });

  it('does not hold an address: whoever reads its mail gets it, with a password of their own', async () => {
    const email = 'victim@example.com';
    await register(email, 'the password of a squatter');
    const squatters = tokenIn(await mail.mailTo(email, /Complete/));
    await register(email);
    const own = tokenIn(await mail.mailTo(email, /Complete/, 2));
    expect((await confirm(squatters)).status).toBe(401);
    expect((await confirm(own)).status).toBe(201);
    const late = await http(app).post('/v1/auth/confirm-registration', {
      token: squatters,
      password: 'the password of a squatter',
    });
    expect(late.body).toMatchObject({ status: 409, code: 'email_taken' });
    expect((await login(email, PASSWORD)).status).toBe(200);
  });

  it('becomes one account when it is confirmed ten times at once', async () => {
    await register('race@example.com');
    const token = tokenIn(await mail.mailTo('race@example.com', /Complete/));
    const answers = await Promise.all(Array.from({ length: 10 }, () => confirm(token)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(9).fill(400)]);
  });

  it('of an address that has an account changes nothing, and its owner is told', async () => {
    await join('owner@example.com');
    expect((await register('Owner@Example.com', 'another passphrase')).status).toBe(202);
    const notice = await mail.mailTo('owner@example.com', /have an account/);
    expect(notice.mail.text).not.toContain('#token=');
    expect((await login('owner@example.com', PASSWORD)).status).toBe(200);
    expect((await login('owner@example.com', 'another passphrase')).status).toBe(401);
  });

  it('sends no more than five mails in an hour to one address', async () => {
    for (let count = 0; count < 7; count++) expect((await register('bombed@example.com')).status).toBe(202);
    await join('after-the-bombs@example.com');
    expect(mail.sentTo('bombed@example.com')).toHaveLength(5);
  });

  it('refuses a weak password alike, whether the address has an account or not', async () => {
    await join('weak-known@example.com');
    const [known, unknown] = [
      await register('weak-known@example.com', 'password1'),
      await register('weak-nobody@example.com', 'password1'),
    ];
    expect(known.status).toBe(400);
    expect(face(unknown)).toEqual(face(known));
  });
});

describe('Without confirmation by mail', () => {
  it('registering logs in at once and says when an address is taken, after the same hash', async () => {
    const open = await startAtrium({ RATE_LIMIT: 'off' });
    try {
      const person = await registerUser(open);
      const { email } = person.user;
      const passwords = open.nest.get(Passwords);
      const hash = passwords.hash.bind(passwords);
      let hashed = 0;
      passwords.hash = (...parameters) => (hashed++, hash(...parameters));
      const answer = await http(open).post('/v1/auth/register', { email, password: PASSWORD });
      expect(answer.body).toMatchObject({ status: 409, code: 'email_taken' });
      expect(hashed).toBe(1);
    } finally {
      await open.stop();
    }
  });
});
