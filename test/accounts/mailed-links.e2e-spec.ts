import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import {
  INVALID_TOKEN,
  NEW_ADDRESS,
  NEW_PASSWORD,
  PUBLIC_URL,
  RESET,
  type MailedApp,
  mailedProofs,
  startMailedApp,
} from '../support/mailed-proofs.js';
import { PASSWORD } from '../support/people.js';
import { type MailServer, tokenIn } from '../support/smtp.js';
import { until } from '../support/until.js';

let mailed: MailedApp;
let app: TestApp;
let mail: MailServer;
beforeAll(async () => {
  mailed = await startMailedApp();
  ({ app, mail } = mailed);
});
afterAll(() => mailed.stop());

const { post, forgot, register, verify, reset, confirmEmail, resetToken } = mailedProofs(() => mailed);

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
    for (const { body } of wrong) expect(body).toMatchObject(INVALID_TOKEN);
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
