import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import {
  INVALID_TOKEN,
  NEW_ADDRESS,
  NEW_PASSWORD,
  VERIFY,
  type MailedApp,
  mailedProofs,
  startMailedApp,
} from '../support/mailed-proofs.js';
import { PASSWORD, type Person, registerUser } from '../support/people.js';
import { type MailServer, tokenIn } from '../support/smtp.js';

let mailed: MailedApp;
let app: TestApp;
let mail: MailServer;
beforeAll(async () => {
  mailed = await startMailedApp();
  ({ app, mail } = mailed);
});
afterAll(() => mailed.stop());

const { register, verify, confirmEmail, login, isVerified, actions, expireTokens } = mailedProofs(
  () => mailed,
);

describe('A registered address', () => {
  it('is proven by the link that was mailed to it, once', async () => {
    const person = await register();
    expect(await isVerified(person)).toBe(false);
    const answer = await verify(person.verifyToken);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(await isVerified(person)).toBe(true);
    expect((await verify(person.verifyToken)).body).toMatchObject(INVALID_TOKEN);
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
    expect((await verify(person.verifyToken)).body).toMatchObject(INVALID_TOKEN);
    const other = await register();
    await expireTokens();
    expect((await verify(other.verifyToken)).body).toMatchObject(INVALID_TOKEN);
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
    expect((await verify(person.verifyToken)).body).toMatchObject(INVALID_TOKEN);
    expect((await resend()).status).toBe(202);
    await mail.mailTo(person.email, VERIFY, 5);
    expect(mail.sentTo(person.email)).toHaveLength(5);
    expect((await http(app).post('/v1/auth/resend-verification')).status).toBe(401);
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
    expect((await confirmEmail(token)).body).toMatchObject(INVALID_TOKEN);
    expect((await login(email, PASSWORD)).status).toBe(200);
    expect((await login(person.email, PASSWORD)).status).toBe(401);
    expect((await verify(person.verifyToken)).body).toMatchObject(INVALID_TOKEN);
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
    expect((await confirmEmail(tokens[0])).body).toMatchObject(INVALID_TOKEN);
    const change = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
    expect((await person.http.post('/v1/auth/change-password', change)).status).toBe(204);
    expect((await confirmEmail(tokens[1])).body).toMatchObject(INVALID_TOKEN);
    await ask(person, `third-${person.email}`, NEW_PASSWORD);
    const third = tokenIn(await mail.mailTo(`third-${person.email}`, NEW_ADDRESS));
    await expireTokens();
    expect((await confirmEmail(third)).body).toMatchObject(INVALID_TOKEN);
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
