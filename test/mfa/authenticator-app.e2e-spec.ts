import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Clock } from '../../src/common/clock.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { Browser } from '../support/browser.js';
import { http } from '../support/http.js';
import { actionsOf, challenge, type EnrolmentAnswer, Phones, verify } from '../support/mfa.js';
import { type LoginAnswer, registerUser } from '../support/people.js';

let app: TestApp;
let second: Instance;
let phones: Phones;
beforeAll(async () => {
  // In the middle of a change of secrets: one instance has made the new one its first, the other has not yet.
  const [before, now] = ['b'.repeat(32), 'n'.repeat(32)];
  app = await startAtrium({ SERVICE_NAME: 'Example', FACTOR_SECRET: `${before},${now}` });
  second = await app.startSecondInstance({ FACTOR_SECRET: `${now}, ${before}` });
  // One time for both.
  second.nest.get(Clock).now = () => app.nest.get(Clock).now();
  phones = new Phones(app);
});
afterAll(() => app.stop());

const statuses = (answers: readonly { status: number }[]) => answers.map(({ status }) => status).sort();

describe('An authenticator app', () => {
  it('is asked for at the next sign-in, once a code of it was confirmed', async () => {
    const person = await registerUser(app);
    const enrolment = await person.http.post<EnrolmentAnswer>('/v1/auth/mfa/totp');
    expect(enrolment.status).toBe(201);
    expect(enrolment.headers.get('cache-control')).toBe('no-store');
    const { secret, otpauthUrl, qrCode } = enrolment.body;
    expect(secret).toMatch(/^[A-Z2-7]{32}$/);
    const url = new URL(otpauthUrl);
    expect([url.protocol, url.host, url.searchParams.get('secret'), url.searchParams.get('issuer')]).toEqual([
      'otpauth:',
      'totp',
      secret,
      'Example',
    ]);
    expect(decodeURIComponent(url.pathname)).toBe(`/Example:${person.user.email}`);
    const [, image] = /^data:image\/svg\+xml;base64,(.+)$/.exec(qrCode) ?? [];
    expect(Buffer.from(image, 'base64').toString()).toMatch(/^<svg/);

    // Not yet: nobody has shown that the app works.
    const login = { email: person.user.email, password: person.password };
    expect((await http(app).post<LoginAnswer>('/v1/auth/login', login)).body.accessToken).toBeDefined();
    const confirmed = await person.http.post<{ recoveryCodes: string[] }>('/v1/auth/mfa/totp/confirm', {
      code: phones.code(secret),
    });
    expect(confirmed.status).toBe(200);
    expect(new Set(confirmed.body.recoveryCodes).size).toBe(10);

    const asked = await challenge(app, person);
    expect(asked).toEqual({
      mfaRequired: true,
      mfaToken: expect.stringMatching(/^[\w-]{43}$/),
      methods: ['totp', 'recovery'],
      expiresIn: 300,
    });
    const answer = await verify(app, asked.mfaToken, { method: 'totp', code: phones.nextCode(secret) });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ user: { id: person.user.id }, tokenType: 'Bearer' });
    expect(answer.body.refreshToken).toMatch(/^atr_/);
    expect((await http(app, answer.body.accessToken).get('/v1/me')).status).toBe(200);
    expect((await person.http.get<object>('/v1/auth/mfa')).body).toEqual({
      enabled: true,
      methods: ['totp', 'recovery'],
      totp: { enabledAt: expect.stringMatching(/Z$/) },
      passkeys: 0,
      recoveryCodesLeft: 10,
    });
    const [{ amr }] = await app.sql<{ amr: string[] }>(
      'SELECT amr FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT 1',
      [person.user.id],
    );
    expect(amr).toEqual(['pwd', 'otp', 'mfa']);
  });

  it('ends the sessions that were opened without it', async () => {
    const person = await registerUser(app);
    const login = { email: person.user.email, password: person.password };
    const other = (await http(app).post<LoginAnswer>('/v1/auth/login', login)).body;
    await phones.guarded(person);
    expect((await http(app, other.accessToken).get('/v1/me')).status).toBe(401);
    expect((await person.http.get('/v1/me')).status).toBe(200);
  });

  it('is kept as a secret that the database alone does not give away', async () => {
    const { user, secret, recoveryCodes } = await phones.guarded();
    const [row] = await app.sql<{ secret: Buffer }>('SELECT secret FROM totp_factors WHERE user_id = $1', [
      user.id,
    ]);
    expect(row.secret).toHaveLength(12 + 16 + 20);
    const [{ text }] = await app.sql<{ text: string }>(
      `SELECT (SELECT string_agg(a::text, ' ') FROM audit_entries a) ||
         (SELECT string_agg(encode(r.hash, 'escape'), ' ') FROM recovery_codes r) AS text`,
    );
    for (const told of [secret, ...recoveryCodes]) expect(text).not.toContain(told);
  });

  it('of somebody else opens nothing, even when the secret is moved in the database', async () => {
    const [one, other] = [await phones.guarded(), await phones.guarded()];
    await app.sql(
      `UPDATE totp_factors SET secret = (SELECT secret FROM totp_factors WHERE user_id = $1) WHERE user_id = $2`,
      [one.user.id, other.user.id],
    );
    const { mfaToken } = await challenge(app, other);
    expect((await verify(app, mfaToken, { code: phones.nextCode(one.secret) })).status).toBe(500);
  });

  it('is enrolled once: a second enrolment is refused while it is on, and replaces one that waits', async () => {
    const person = await registerUser(app);
    const first = (await person.http.post<EnrolmentAnswer>('/v1/auth/mfa/totp')).body;
    const next = (await person.http.post<EnrolmentAnswer>('/v1/auth/mfa/totp')).body;
    const confirm = (secret: string) =>
      person.http.post('/v1/auth/mfa/totp/confirm', { code: phones.code(secret) });
    const stale = await confirm(first.secret);
    expect([stale.status, stale.body.code]).toEqual([403, 'wrong_code']);
    expect((await confirm(next.secret)).status).toBe(200);
    const again = await person.http.post('/v1/auth/mfa/totp');
    expect([again.status, again.body.code]).toEqual([409, 'totp_already_enabled']);
    expect((await confirm(next.secret)).body.code).toBe('totp_already_enabled');
  });

  it('that is removed is asked for no more; other sessions end and the recovery codes go', async () => {
    const person = await phones.guarded();
    const { mfaToken } = await challenge(app, person);
    const other = await verify(app, mfaToken, { code: phones.nextCode(person.secret) });
    expect((await person.http.delete('/v1/auth/mfa/totp')).status).toBe(204);
    expect((await person.http.delete('/v1/auth/mfa/totp')).status).toBe(404);
    expect((await http(app, other.body.accessToken).get('/v1/me')).status).toBe(401);
    expect((await person.http.get('/v1/auth/mfa')).body).toMatchObject({
      enabled: false,
      recoveryCodesLeft: 0,
    });
    const login = { email: person.user.email, password: person.password };
    expect((await http(app).post<LoginAnswer>('/v1/auth/login', login)).body.refreshToken).toBeDefined();
    expect(await actionsOf(app, person.user.id)).toEqual(
      expect.arrayContaining(['mfa.totp.enrolled', 'mfa.totp.enabled', 'mfa.totp.removed', 'session.ended']),
    );
  });

  it('finishes a sign-in by cookie, too', async () => {
    const person = await phones.guarded();
    const { mfaToken } = await challenge(app, person);
    const browser = new Browser(app);
    const answer = await browser.post<LoginAnswer & { csrfToken: string }>('/v1/auth/mfa/verify', {
      json: { mfaToken, code: phones.nextCode(person.secret), transport: 'cookie' },
    });
    expect(answer.status).toBe(200);
    expect(answer.body.refreshToken).toBeUndefined();
    expect(answer.body.csrfToken).toBeDefined();
    expect([...browser.cookies.keys()]).toContain('atrium-refresh');
  });

  it('works on while FACTOR_SECRET is changed, and is kept under the new one as soon as it is used', async () => {
    const person = await phones.guarded();
    const kept = async () => {
      const [{ secret }] = await app.sql<{ secret: Buffer }>(
        'SELECT secret FROM totp_factors WHERE user_id = $1',
        [person.user.id],
      );
      return secret.toString('hex');
    };
    const states = [await kept()];
    for (const instance of [app, second, second, app]) {
      const { mfaToken } = await challenge(app, person);
      expect((await verify(instance, mfaToken, { code: phones.nextCode(person.secret) })).status).toBe(200);
      states.push(await kept());
    }
    const [enrolled, atFirst, atSecond, again, back] = states;
    expect([atFirst, again]).toEqual([enrolled, atSecond]);
    expect(new Set([enrolled, atSecond, back]).size).toBe(3);
  });

  it('goes with the account', async () => {
    const { http: client, user, password } = await phones.guarded();
    expect((await client.call('DELETE', '/v1/me', { json: { password } })).status).toBe(204);
    const left = await app.sql(
      'SELECT 1 FROM totp_factors WHERE user_id = $1 UNION ALL SELECT 1 FROM recovery_codes WHERE user_id = $1',
      [user.id],
    );
    expect(left).toEqual([]);
  });
});

describe('A code', () => {
  it('is good once', async () => {
    const person = await phones.guarded();
    const code = phones.nextCode(person.secret);
    expect((await verify(app, (await challenge(app, person)).mfaToken, { code })).status).toBe(200);
    const replay = await verify(app, (await challenge(app, person)).mfaToken, { code });
    expect([replay.status, replay.body.code]).toEqual([401, 'wrong_code']);
    const entries = await app.sql<{ detail: object }>(
      `SELECT detail FROM audit_entries WHERE user_id = $1 AND action = 'mfa.refused'`,
      [person.user.id],
    );
    expect(entries.map(({ detail }) => detail)).toEqual([
      { method: 'totp', during: 'sign-in', reason: 'replayed' },
    ]);
  });

  it('that confirmed the app opens no sign-in', async () => {
    const person = await registerUser(app);
    const { secret } = (await person.http.post<EnrolmentAnswer>('/v1/auth/mfa/totp')).body;
    const code = phones.code(secret);
    await person.http.post('/v1/auth/mfa/totp/confirm', { code });
    expect((await verify(app, (await challenge(app, person)).mfaToken, { code })).status).toBe(401);
  });

  it('that ten sign-ins show at once, on two instances, opens one', async () => {
    const person = await phones.guarded();
    const challenges = await Promise.all(Array.from({ length: 10 }, () => challenge(app, person)));
    const code = phones.nextCode(person.secret);
    const answers = await Promise.all(
      challenges.map(({ mfaToken }, n) => verify(n % 2 ? app : second, mfaToken, { code })),
    );
    const opened = answers.filter(({ status }) => status === 200);
    expect(opened).toHaveLength(1);
    for (const { status } of answers) expect([200, 401, 429]).toContain(status);
  });

  it.each([
    ['of the step before', -1, 200],
    ['of the step after', 1, 200],
    ['two steps old', -2, 401],
    ['two steps ahead', 2, 401],
  ])('%s is taken within one step only', async (_, steps, status) => {
    const person = await phones.guarded();
    for (let n = 0; n < 4; n++) phones.tick();
    const { mfaToken } = await challenge(app, person);
    // Not at the turn of a step.
    if (Date.now() % 30_000 > 28_000 || Date.now() % 30_000 < 500) phones.tick();
    expect((await verify(app, mfaToken, { code: phones.code(person.secret, steps) })).status).toBe(status);
  });
});

describe('The challenge of a sign-in', () => {
  it('opens one session, of those who answer it at once, too', async () => {
    const person = await phones.guarded();
    const { mfaToken } = await challenge(app, person);
    const [one, other] = person.recoveryCodes;
    const answers = await Promise.all([
      verify(app, mfaToken, { code: one }),
      verify(app, mfaToken, { code: other }),
    ]);
    expect(statuses(answers)).toEqual([200, 401]);
    const late = await verify(app, mfaToken, { code: phones.nextCode(person.secret) });
    expect([late.status, late.body.code]).toEqual([401, 'invalid_mfa_token']);
  });

  it('ends after five minutes', async () => {
    const person = await phones.guarded();
    const { mfaToken } = await challenge(app, person);
    const [{ left }] = await app.sql<{ left: number }>(
      `UPDATE one_time_tokens t SET expires_at = now() FROM one_time_tokens o
       WHERE t.hash = o.hash AND t.subject = $1 AND t.purpose = 'mfa-challenge'
       RETURNING extract(epoch FROM o.expires_at - o.created_at)::int AS left`,
      [person.user.id],
    );
    expect(left).toBe(300);
    const answer = await verify(app, mfaToken, { code: phones.nextCode(person.secret) });
    expect([answer.status, answer.body.code]).toEqual([401, 'invalid_mfa_token']);
  });

  it('is void once the password has changed', async () => {
    const person = await phones.guarded();
    const { mfaToken } = await challenge(app, person);
    const changed = await person.http.post('/v1/auth/change-password', {
      currentPassword: person.password,
      newPassword: 'another long passphrase',
    });
    expect(changed.status).toBe(204);
    const answer = await verify(app, mfaToken, { code: phones.nextCode(person.secret) });
    expect([answer.status, answer.body.code]).toEqual([401, 'invalid_mfa_token']);
  });

  it('takes five tries', async () => {
    const person = await phones.guarded();
    const { mfaToken } = await challenge(app, person);
    for (let n = 0; n < 5; n++) {
      await app.sql('TRUNCATE password_attempts');
      expect((await verify(app, mfaToken, { code: '000000' })).body.code).toBe('wrong_code');
    }
    const answer = await verify(app, mfaToken, { code: phones.nextCode(person.secret) });
    expect(answer.body.code).toBe('invalid_mfa_token');
  });

  it('is no access token, and no other kind of token is one', async () => {
    const person = await phones.guarded();
    const { mfaToken } = await challenge(app, person);
    expect((await http(app, mfaToken).get('/v1/me')).status).toBe(401);
    for (const token of [person.token, person.refreshToken.slice(0, 100), 'x'])
      expect((await verify(app, token.slice(0, 100), { code: '000000' })).body.code).toBe(
        'invalid_mfa_token',
      );
  });

  it.each([
    [{ code: 123456 }, '/code'],
    [{ code: 'x'.repeat(101) }, '/code'],
    [{ method: 'sms', code: '123456' }, '/method'],
    [{ mfaToken: ['x'] }, '/mfaToken'],
    [{ userId: 'x' }, '/userId'],
  ])('refuses %j', async (body, pointer) => {
    const answer = await http(app).post('/v1/auth/mfa/verify', { mfaToken: 'x', ...body });
    expect([answer.status, answer.body.errors?.map((error) => error.pointer)]).toEqual([400, [pointer]]);
  });
});
