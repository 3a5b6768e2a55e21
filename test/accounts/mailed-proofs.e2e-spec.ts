import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { type LoginAnswer, PASSWORD, type Person, registerUser } from '../support/people.js';
import { type MailServer, startMailServer, tokenIn } from '../support/smtp.js';
import { until } from '../support/until.js';

const PUBLIC_URL = 'https://app.atrium.example/base';
const MAIL_FROM = 'Atrium <no-reply@atrium.example>';
const NEW_PASSWORD = 'a quite different passphrase';
const VERIFY = /Confirm your e-mail/;
const RESET = /Choose a new password/;
const NEW_ADDRESS = /Confirm your new/;

let mail: MailServer;
let app: TestApp;
beforeAll(async () => {
  mail = await startMailServer();
  app = await startAtrium({ SMTP_URL: mail.url, MAIL_FROM, PUBLIC_URL, RATE_LIMIT: 'off' });
});
afterAll(async () => {
  await app.stop();
  await mail.stop();
});

let people = 0;
/** Somebody with an address that can be read, and the token that came by mail. */
async function register(): Promise<Person & { email: string; verifyToken: string }> {
  const email = `person${++people}@example.com`;
  const person = await registerUser(app, { email });
  return { ...person, email, verifyToken: tokenIn(await mail.mailTo(email, VERIFY)) };
}

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  http(app).post(`/v1/auth/${path}`, body, { headers });
const verify = (token: string) => post('verify-email', { token });
const forgot = (email: unknown, headers?: Record<string, string>) =>
  post('forgot-password', { email }, headers);
const reset = (token: string, newPassword = NEW_PASSWORD) => post('reset-password', { token, newPassword });
const confirmEmail = (token: string) => post('confirm-email', { token });
const login = (email: string, password: string) =>
  http(app).post<LoginAnswer>('/v1/auth/login', { email, password });
const isVerified = async (person: Person) =>
  (await person.http.get<{ emailVerified: boolean }>('/v1/me')).body.emailVerified;
const actions = async (person: Person) =>
  (
    await app.sql<{ action: string }>('SELECT action FROM audit_entries WHERE user_id = $1 ORDER BY id', [
      person.user.id,
    ])
  ).map(({ action }) => action);

/** Asks for a reset and reads the mail. */
async function resetToken(email: string, count = 1): Promise<string> {
  expect((await forgot(email)).status).toBe(202);
  return tokenIn(await mail.mailTo(email, RESET, count));
}

/** Lets every living token reach its end. */
const expireTokens = () => app.sql(`UPDATE one_time_tokens SET expires_at = now() - interval '1 ms'`);

const INVALID = { status: 400, code: 'invalid_token' };

describe('A registered address', () => {
  it('is proven by the link that was mailed to it, once', async () => {
    const person = await register();
    expect(await isVerified(person)).toBe(false);
    const answer = await verify(person.verifyToken);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(await isVerified(person)).toBe(true);
    expect((await verify(person.verifyToken)).body).toMatchObject(INVALID);
    expect(await actions(person)).toContain('email.verified');
  });

  it('is not proven by a link that is a day old, nor by one of an address the account had', async () => {
    const person = await register();
    const [{ hours }] = await app.sql<{ hours: number }>(
      `SELECT round(extract(epoch FROM expires_at - created_at) / 3600)::int AS hours FROM one_time_tokens
       WHERE subject = $1 AND purpose = 'verify-email'`,
      [person.user.id],
    );
    expect(hours).toBe(24);
    await app.sql('UPDATE users SET email = $2 WHERE id = $1', [person.user.id, 'moved@example.com']);
    expect((await verify(person.verifyToken)).body).toMatchObject(INVALID);
    const other = await register();
    await expireTokens();
    expect((await verify(other.verifyToken)).body).toMatchObject(INVALID);
    expect(await isVerified(other)).toBe(false);
  });

  it('is sent another link on request, five in an hour, and none once it is proven', async () => {
    const person = await register();
    const resend = () => person.http.post('/v1/auth/resend-verification');
    expect((await resend()).status).toBe(202);
    const second = tokenIn(await mail.mailTo(person.email, VERIFY, 2));
    for (let count = 3; count <= 5; count++) expect((await resend()).status).toBe(202);
    const refused = await resend();
    expect(refused.body).toMatchObject({ status: 429, code: 'too_many_mails' });
    expect(refused.headers.get('retry-after')).toBe('3600');
    expect((await verify(second)).status).toBe(204);
    expect((await verify(person.verifyToken)).body).toMatchObject(INVALID);
    expect((await resend()).status).toBe(202);
    await mail.mailTo(person.email, VERIFY, 5);
    expect(mail.sentTo(person.email)).toHaveLength(5);
    expect((await http(app).post('/v1/auth/resend-verification')).status).toBe(401);
  });
});

describe('A forgotten password', () => {
  it('is replaced by the link, every session ends, the address counts as proven', async () => {
    const person = await register();
    const device = await login(person.email, PASSWORD);
    const token = await resetToken(person.email);
    expect((await reset(token)).status).toBe(204);
    for (const access of [person.token, device.body.accessToken])
      expect((await http(app, access).get('/v1/me')).status).toBe(401);
    for (const refreshToken of [person.refreshToken, device.body.refreshToken])
      expect((await post('refresh', { refreshToken })).status).toBe(401);
    expect((await login(person.email, PASSWORD)).status).toBe(401);
    const answer = await login(person.email, NEW_PASSWORD);
    expect(answer.status).toBe(200);
    expect(answer.body.user).toMatchObject({ emailVerified: true });
    await mail.mailTo(person.email, /was changed/);
    const recorded = await actions(person);
    expect(recorded).toEqual(expect.arrayContaining(['password.reset.requested', 'password.reset']));
  });

  it('is replaced once by 20 who use the link at the same time', async () => {
    const person = await register();
    const token = await resetToken(person.email);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => reset(token, `a passphrase, number ${index}`)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([204, ...Array<number>(19).fill(400)]);
    const winner = answers.findIndex(({ status }) => status === 204);
    expect((await login(person.email, `a passphrase, number ${winner}`)).status).toBe(200);
  });

  it('is not replaced after half an hour', async () => {
    const person = await register();
    const token = await resetToken(person.email);
    const [{ minutes }] = await app.sql<{ minutes: number }>(
      `SELECT round(extract(epoch FROM expires_at - created_at) / 60)::int AS minutes FROM one_time_tokens
       WHERE subject = $1 AND purpose = 'reset-password'`,
      [person.user.id],
    );
    expect(minutes).toBe(30);
    await expireTokens();
    expect((await reset(token)).body).toMatchObject(INVALID);
    expect((await login(person.email, PASSWORD)).status).toBe(200);
  });

  it('keeps its link when the new one is refused, and loses it when it is changed otherwise', async () => {
    const person = await register();
    const token = await resetToken(person.email);
    expect((await reset(token, 'password1')).body.errors).toMatchObject([{ pointer: '/newPassword' }]);
    expect((await reset(token, person.email)).body.errors).toMatchObject([{ pointer: '/newPassword' }]);
    expect((await reset(token, 'short')).body.errors).toMatchObject([{ pointer: '/newPassword' }]);
    const change = { currentPassword: PASSWORD, newPassword: 'changed by its owner' };
    expect((await person.http.post('/v1/auth/change-password', change)).status).toBe(204);
    expect((await reset(token)).body).toMatchObject(INVALID);
    expect((await login(person.email, 'changed by its owner')).status).toBe(200);
  });

  it('has up to five links at a time, which die together; a stranger takes none away', async () => {
    const person = await register();
    const first = await resetToken(person.email);
    for (let count = 2; count <= 8; count++) expect((await forgot(person.email)).status).toBe(202);
    const fifth = tokenIn(await mail.mailTo(person.email, RESET, 5));
    expect((await reset(first)).status).toBe(204);
    expect((await reset(fifth, 'yet another passphrase')).body).toMatchObject(INVALID);
    await mail.mailTo(person.email, /was changed/);
    expect(
      mail.sentTo(person.email).filter(({ mail: { subject } }) => RESET.test(subject ?? '')),
    ).toHaveLength(5);
  });

  it('of a disabled account stays as it is', async () => {
    const person = await register();
    const token = await resetToken(person.email);
    await app.sql('UPDATE users SET disabled_at = now() WHERE id = $1', [person.user.id]);
    expect((await reset(token)).body).toMatchObject(INVALID);
    expect((await forgot(person.email)).status).toBe(202);
    const other = await register();
    await resetToken(other.email);
    expect(
      mail.sentTo(person.email).filter(({ mail: { subject } }) => RESET.test(subject ?? '')),
    ).toHaveLength(1);
  });

  it('is where a squatter ends: the owner of the address gets the account, alone', async () => {
    const squatter = await register();
    await squatter.http.post('/v1/me/email', { email: 'squatter@evil.example', password: PASSWORD });
    const change = tokenIn(await mail.mailTo('squatter@evil.example', NEW_ADDRESS));
    expect((await reset(await resetToken(squatter.email))).status).toBe(204);
    expect((await squatter.http.get('/v1/me')).status).toBe(401);
    expect((await post('refresh', { refreshToken: squatter.refreshToken })).status).toBe(401);
    expect((await login(squatter.email, PASSWORD)).status).toBe(401);
    expect((await confirmEmail(change)).body).toMatchObject(INVALID);
    expect((await login(squatter.email, NEW_PASSWORD)).body.user.email).toBe(squatter.email);
  });
});

describe('Another address', () => {
  const ask = (person: Person, email: unknown, password = PASSWORD) =>
    person.http.post('/v1/me/email', { email, password });

  it('becomes the account’s when it is confirmed; both are told before and after', async () => {
    const person = await register();
    const email = `new-${person.email}`;
    const answer = await ask(person, email.toUpperCase());
    expect([answer.status, answer.text]).toEqual([202, '']);
    expect((await person.http.get<{ email: string }>('/v1/me')).body.email).toBe(person.email);
    expect((await mail.mailTo(person.email, /about to change/)).mail.text).toContain(email);
    const token = tokenIn(await mail.mailTo(email, NEW_ADDRESS));
    expect((await confirmEmail(token)).status).toBe(204);
    expect((await person.http.get('/v1/me')).body).toMatchObject({ email, emailVerified: true });
    await mail.mailTo(person.email, /was changed/);
    await mail.mailTo(email, /was changed/);
    expect((await confirmEmail(token)).body).toMatchObject(INVALID);
    expect((await login(email, PASSWORD)).status).toBe(200);
    expect((await login(person.email, PASSWORD)).status).toBe(401);
    expect((await verify(person.verifyToken)).body).toMatchObject(INVALID);
    expect(await actions(person)).toEqual(
      expect.arrayContaining(['email.change.requested', 'email.changed']),
    );
  });

  it('is refused with a wrong password, as what it is already, and as no address', async () => {
    const person = await register();
    expect((await ask(person, 'x@example.com', 'not the password')).status).toBe(403);
    expect((await ask(person, person.email.toUpperCase())).body.errors).toEqual([
      { pointer: '/email', detail: 'is the address already' },
    ]);
    expect((await ask(person, 'x@example.com.')).status).toBe(400);
    const anonymous = await http(app).post('/v1/me/email', { email: 'x@example.com', password: PASSWORD });
    expect(anonymous.status).toBe(401);
    expect(mail.sentTo('x@example.com')).toEqual([]);
  });

  it('that somebody has is answered alike, and its owner is told; if it is taken later, the link does nothing', async () => {
    const [one, other] = [await register(), await register()];
    expect((await ask(one, other.email)).status).toBe(202);
    const notice = await mail.mailTo(other.email, /have an account/);
    expect(notice.mail.text).not.toContain('#token=');
    const email = `later-${one.email}`;
    expect((await ask(one, email)).status).toBe(202);
    const token = tokenIn(await mail.mailTo(email, NEW_ADDRESS));
    await registerUser(app, { email });
    expect((await confirmEmail(token)).body).toMatchObject({ status: 409, code: 'email_taken' });
    expect((await one.http.get('/v1/me')).body).toMatchObject({ email: one.email });
  });

  it('is the one asked for last; a password change stops it, an hour ends it', async () => {
    const person = await register();
    const tokens: string[] = [];
    for (const name of ['first', 'second']) {
      await ask(person, `${name}-${person.email}`);
      tokens.push(tokenIn(await mail.mailTo(`${name}-${person.email}`, NEW_ADDRESS)));
    }
    expect((await confirmEmail(tokens[0])).body).toMatchObject(INVALID);
    const change = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
    expect((await person.http.post('/v1/auth/change-password', change)).status).toBe(204);
    expect((await confirmEmail(tokens[1])).body).toMatchObject(INVALID);
    await ask(person, `third-${person.email}`, NEW_PASSWORD);
    const third = tokenIn(await mail.mailTo(`third-${person.email}`, NEW_ADDRESS));
    await expireTokens();
    expect((await confirmEmail(third)).body).toMatchObject(INVALID);
  });

  it('is asked for five times in an hour', async () => {
    const person = await register();
    for (let count = 1; count <= 5; count++)
      expect((await ask(person, `${count}-${person.email}`)).status).toBe(202);
    expect((await ask(person, `6-${person.email}`)).body).toMatchObject({
      status: 429,
      code: 'too_many_mails',
    });
  });

  it('is taken by one of ten who confirm it for ten accounts at once', async () => {
    const tokens: string[] = [];
    for (let count = 0; count < 10; count++) {
      const person = await register();
      await ask(person, 'wanted@example.com');
      tokens.push(tokenIn(await mail.mailTo('wanted@example.com', NEW_ADDRESS, count + 1)));
    }
    const answers = await Promise.all(tokens.map(confirmEmail));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, ...Array<number>(9).fill(409)]);
  });
});

describe('A token of a mail', () => {
  it('is good for its purpose only, and stays good for it', async () => {
    const person = await register();
    const resetting = await resetToken(person.email);
    await person.http.post('/v1/me/email', { email: `p-${person.email}`, password: PASSWORD });
    const changing = tokenIn(await mail.mailTo(`p-${person.email}`, NEW_ADDRESS));
    const wrong = await Promise.all([
      verify(resetting),
      verify(changing),
      reset(person.verifyToken),
      reset(changing),
      confirmEmail(resetting),
      confirmEmail(person.verifyToken),
      post('confirm-registration', { token: resetting, password: PASSWORD }),
    ]);
    for (const { body } of wrong) expect(body).toMatchObject(INVALID);
    expect((await verify(person.verifyToken)).status).toBe(204);
    expect((await confirmEmail(changing)).status).toBe(204);
  });

  it.each([['x'], [''], ['x'.repeat(101)], [['a']], [{ $ne: null }], [null], [42]])(
    'that is none is refused: %j',
    async (token) => {
      for (const path of ['verify-email', 'confirm-email'])
        expect((await post(path, { token })).status).toBe(400);
      expect((await post('reset-password', { token, newPassword: NEW_PASSWORD })).status).toBe(400);
    },
  );

  it('is in the database as a hash only, and in no answer', async () => {
    const person = await register();
    const rows = await app.sql<{ text: string }>('SELECT t::text AS text FROM one_time_tokens t');
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.some(({ text }) => text.includes(person.verifyToken))).toBe(false);
    const { text } = await person.http.get('/v1/me');
    expect(text).not.toContain(person.verifyToken);
  });
});

describe('Links', () => {
  it.each<Record<string, string>>([
    { 'X-Forwarded-Host': 'evil.example' },
    { 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'http', 'X-Forwarded-Port': '81' },
    { Forwarded: 'host=evil.example;proto=http' },
    { 'X-Original-Host': 'evil.example', 'X-Host': 'evil.example', Origin: 'https://evil.example' },
    { Referer: 'https://evil.example/', 'X-Original-URL': 'https://evil.example/x' },
  ])('begin with what is configured, whatever the request says: %j', async (headers) => {
    const person = await register();
    expect((await forgot(person.email, headers)).status).toBe(202);
    const { mail: received, source } = await mail.mailTo(person.email, RESET);
    expect(received.text).toContain(`${PUBLIC_URL}/reset-password#token=`);
    expect(source).not.toMatch(/evil|127\.0\.0\.1|localhost/);
  });

  it('also with a poisoned Host', async () => {
    const person = await register();
    const { request } = await import('node:http');
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const call = request(
        `${app.url}/v1/auth/forgot-password`,
        { method: 'POST', headers: { Host: 'evil.example:666', 'Content-Type': 'application/json' } },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      call.on('error', reject);
      call.end(JSON.stringify({ email: person.email }));
    });
    expect(status).toBe(202);
    const { mail: received, source } = await mail.mailTo(person.email, RESET);
    expect(received.text).toContain(`${PUBLIC_URL}/reset-password#token=`);
    expect(source).not.toContain('evil');
  });
});

describe('One recipient', () => {
  it('gets the mail, whatever the shape of the address', async () => {
    const { email } = await register();
    const eve = 'eve@evil.example';
    for (const shape of [
      [email, eve],
      [email],
      { email, eve },
      { 0: email, 1: eve, length: 2 },
      { toString: email },
    ])
      expect((await forgot(shape)).body).toMatchObject({ status: 400, code: 'validation_failed' });
    for (const text of [
      `${email},${eve}`,
      `${email}, ${eve}`,
      `${email};${eve}`,
      `${email} ${eve}`,
      `${email}\r\nBcc: ${eve}`,
      `${email}\n${eve}`,
      `${email}%0abcc:${eve}`,
      `<${email}>`,
      `"${email}" <${eve}>`,
      `${email}\u0000`,
    ])
      expect([202, 400]).toContain((await forgot(text)).status);
    const other = await register();
    await resetToken(other.email);
    expect(mail.sentTo(eve)).toEqual([]);
    expect(mail.sentTo(email)).toHaveLength(1);
    await until('every mail has one recipient', () =>
      mail.received.every(({ envelope }) => envelope.to.length === 1),
    );
  });
});
