import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { actionsOf, challenge, Phones, verify } from '../support/mfa.js';
import { type MailServer, startMailServer, tokenIn } from '../support/smtp.js';

let app: TestApp;
let mail: MailServer;
let phones: Phones;
beforeAll(async () => {
  mail = await startMailServer();
  app = await startAtrium({ SMTP_URL: mail.url });
  phones = new Phones(app);
});
afterAll(async () => {
  await app?.stop();
  await mail?.stop();
});

describe('A recovery code', () => {
  it('takes the place of the app once, is told by mail, and leaves one less', async () => {
    const person = await phones.guarded();
    const [code] = person.recoveryCodes;
    const answer = await verify(app, (await challenge(app, person)).mfaToken, { method: 'recovery', code });
    expect(answer.status).toBe(200);
    await mail.mailTo(person.user.email, /recovery code was used/);
    expect((await person.http.get('/v1/auth/mfa')).body).toMatchObject({ recoveryCodesLeft: 9 });
    expect(await actionsOf(app, person.user.id)).toContain('mfa.recovery-code.used');
    const again = await verify(app, (await challenge(app, person)).mfaToken, { method: 'recovery', code });
    expect([again.status, again.body.code]).toEqual([401, 'wrong_code']);
  });

  it('that ten sign-ins show at once opens one', async () => {
    const person = await phones.guarded();
    const [code] = person.recoveryCodes;
    const challenges = await Promise.all(Array.from({ length: 10 }, () => challenge(app, person)));
    const answers = await Promise.all(challenges.map(({ mfaToken }) => verify(app, mfaToken, { code })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await person.http.get('/v1/auth/mfa')).body).toMatchObject({ recoveryCodesLeft: 9 });
  });

  it('may be typed in capitals, without dashes and with letters that look alike', async () => {
    const person = await phones.guarded();
    const typed = person.recoveryCodes[0].toUpperCase().replaceAll('-', ' ').replaceAll('0', 'O');
    expect((await verify(app, (await challenge(app, person)).mfaToken, { code: typed })).status).toBe(200);
  });

  it('of somebody else is worth nothing', async () => {
    const [one, other] = [await phones.guarded(), await phones.guarded()];
    const { mfaToken } = await challenge(app, one);
    expect((await verify(app, mfaToken, { code: other.recoveryCodes[0] })).status).toBe(401);
  });

  it('is worth nothing once new ones were made', async () => {
    const person = await phones.guarded();
    const answer = await person.http.post<{ recoveryCodes: string[] }>('/v1/auth/mfa/recovery-codes');
    expect([answer.status, answer.body.recoveryCodes.length]).toEqual([200, 10]);
    await mail.mailTo(person.user.email, /recovery codes were replaced/);
    const [old, fresh] = [person.recoveryCodes[0], answer.body.recoveryCodes[0]];
    expect((await verify(app, (await challenge(app, person)).mfaToken, { code: old })).status).toBe(401);
    expect((await verify(app, (await challenge(app, person)).mfaToken, { code: fresh })).status).toBe(200);
  });
});

describe('Wrong codes', () => {
  it('make the next try wait, with every challenge; the right password does not help', async () => {
    const person = await phones.guarded();
    for (let n = 0; n < 5; n++) {
      const { mfaToken } = await challenge(app, person);
      expect((await verify(app, mfaToken, { code: '000000' })).status).toBe(401);
    }
    await app.sql(
      `UPDATE password_attempts SET blocked_until = blocked_until + interval '1 hour' WHERE blocked_until IS NOT NULL`,
    );
    const { mfaToken } = await challenge(app, person);
    const answer = await verify(app, mfaToken, { code: phones.nextCode(person.secret) });
    expect([answer.status, answer.body.code]).toEqual([429, 'too_many_attempts']);
    await app.sql(`UPDATE password_attempts SET blocked_until = now() WHERE blocked_until IS NOT NULL`);
    expect((await verify(app, mfaToken, { code: phones.nextCode(person.secret) })).status).toBe(200);
  });

  it('from everywhere do not keep the owner out of where the second factor was passed before', async () => {
    const proxied = await app.startSecondInstance({ TRUST_PROXY: 'loopback' });
    const person = await phones.guarded();
    const from = (address: string) => ({ headers: { 'X-Forwarded-For': address } });
    const attempt = async (address: string, code: string) => {
      const login = { email: person.user.email, password: person.password };
      const asked = await http(proxied).post<{ mfaToken: string }>('/v1/auth/login', login, from(address));
      const body = { mfaToken: asked.body.mfaToken, code };
      return (await http(proxied).post('/v1/auth/mfa/verify', body, from(address))).status;
    };
    expect(await attempt('198.51.100.1', person.recoveryCodes[0])).toBe(200);
    for (let n = 1; n <= 20; n++) expect(await attempt(`192.0.2.${n}`, '000000')).toBe(401);
    await app.sql(
      `UPDATE password_attempts SET blocked_until = blocked_until + interval '1 hour' WHERE blocked_until IS NOT NULL`,
    );
    expect(await attempt('192.0.2.99', person.recoveryCodes[1])).toBe(429);
    expect(await attempt('198.51.100.1', person.recoveryCodes[1])).toBe(200);
  });
});

describe('A reset of the password by mail', () => {
  it('leaves the second factor of a proven address alone', async () => {
    const person = await phones.guarded();
    await app.sql('UPDATE users SET email_verified_at = now() WHERE id = $1', [person.user.id]);
    const after = { ...person, password: await reset(person.user.email) };
    expect((await challenge(app, after)).methods).toEqual(['totp', 'recovery']);
  });

  it('removes what a squatter has set up in an account that never proved its address', async () => {
    const squatter = await phones.guarded();
    const password = await reset(squatter.user.email);
    const login = await http(app).post<{ refreshToken: string }>('/v1/auth/login', {
      email: squatter.user.email,
      password,
    });
    expect(login.body.refreshToken).toBeDefined();
  });

  async function reset(email: string): Promise<string> {
    await http(app).post('/v1/auth/forgot-password', { email });
    const token = tokenIn(await mail.mailTo(email, /Choose a new password/));
    const newPassword = 'the rightful passphrase';
    const answer = await http(app).post('/v1/auth/reset-password', { token, newPassword });
    expect(answer.status).toBe(204);
    return newPassword;
  }
});
