import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import {
  INVALID_TOKEN,
  NEW_ADDRESS,
  NEW_PASSWORD,
  RESET,
  type MailedApp,
  mailedProofs,
  startMailedApp,
} from '../support/mailed-proofs.js';
import { PASSWORD } from '../support/people.js';
import { type MailServer, tokenIn } from '../support/smtp.js';

let mailed: MailedApp;
let app: TestApp;
let mail: MailServer;
beforeAll(async () => {
  mailed = await startMailedApp();
  ({ app, mail } = mailed);
});
afterAll(() => mailed.stop());

const { post, forgot, register, reset, confirmEmail, login, actions, resetToken, expireTokens } =
  mailedProofs(() => mailed);

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
    expect((await reset(token)).body).toMatchObject(INVALID_TOKEN);
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
    expect((await reset(token)).body).toMatchObject(INVALID_TOKEN);
    expect((await login(person.email, 'changed by its owner')).status).toBe(200);
  });

  it('has up to five links at a time, which die together; a stranger takes none away', async () => {
    const person = await register();
    const first = await resetToken(person.email);
    for (let count = 2; count <= 8; count++) expect((await forgot(person.email)).status).toBe(202);
    const fifth = tokenIn(await mail.mailTo(person.email, RESET, 5));
    expect((await reset(first)).status).toBe(204);
    expect((await reset(fifth, 'yet another passphrase')).body).toMatchObject(INVALID_TOKEN);
    await mail.mailTo(person.email, /was changed/);
    expect(
      mail.sentTo(person.email).filter(({ mail: { subject } }) => RESET.test(subject ?? '')),
    ).toHaveLength(5);
  });

  it('of a disabled account stays as it is', async () => {
    const person = await register();
    const token = await resetToken(person.email);
    await app.sql('UPDATE users SET disabled_at = now() WHERE id = $1', [person.user.id]);
    expect((await reset(token)).body).toMatchObject(INVALID_TOKEN);
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
    expect((await confirmEmail(change)).body).toMatchObject(INVALID_TOKEN);
    expect((await login(squatter.email, NEW_PASSWORD)).body.user.email).toBe(squatter.email);
  });
});
