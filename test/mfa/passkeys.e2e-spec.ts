import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { type Deviation, SoftwareAuthenticator } from '../support/authenticator.js';
import { Browser } from '../support/browser.js';
import { http } from '../support/http.js';
import { actionsOf, challenge, growOld, Phones, verify } from '../support/mfa.js';
import { type LoginAnswer, type PageAnswer, registerUser } from '../support/people.js';
import {
  add,
  creation,
  optionsOf,
  ORIGIN,
  type PasskeyAnswer,
  Passkeys,
  passkeysOf,
} from '../support/passkeys.js';
import { type MailServer, startMailServer } from '../support/smtp.js';
import { anotherKey, DEVIATIONS } from './deviations.js';

let app: TestApp;
let mail: MailServer;
let passkeys: Passkeys;
beforeAll(async () => {
  mail = await startMailServer();
  app = await startAtrium({
    SMTP_URL: mail.url,
    PUBLIC_URL: 'https://app.example.com',
    CORS_ORIGINS: 'https://admin.example.com',
    PASSKEY_RP_ID: 'example.com',
  });
  passkeys = new Passkeys(app);
});
afterAll(async () => {
  await app?.stop();
  await mail?.stop();
});

describe('Adding a passkey', () => {
  it('gives recovery codes with the first factor, tells by mail, and is in the list', async () => {
    const person = await registerUser(app);
    const options = await creation(person);
    expect(options).toMatchObject({
      rp: { id: 'example.com', name: 'Atrium' },
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      attestation: 'none',
    });
    const device = new SoftwareAuthenticator(ORIGIN);
    const answer = await add(person, device.create(options));
    expect(answer.status).toBe(201);
    expect(answer.body.recoveryCodes).toHaveLength(10);
    expect(await passkeysOf(person)).toEqual([
      {
        id: answer.body.passkey.id,
        name: 'Phone',
        synced: false,
        createdAt: expect.stringMatching(/Z$/),
        lastUsedAt: null,
      },
    ]);
    await mail.mailTo(person.user.email, /new passkey/);
    expect(await actionsOf(app, person.user.id)).toContain('passkey.added');
    const second = new SoftwareAuthenticator(ORIGIN);
    expect((await add(person, second.create(await creation(person)))).body.recoveryCodes).toEqual([]);
  });

  it('is possible from every listed origin', async () => {
    const person = await registerUser(app);
    const device = new SoftwareAuthenticator('https://admin.example.com');
    expect((await add(person, device.create(await creation(person)))).status).toBe(201);
  });

  it.each(DEVIATIONS)('is refused with %s', async (_, deviation) => {
    const person = await registerUser(app);
    const device = new SoftwareAuthenticator(ORIGIN);
    const answer = await add(person, device.create(await creation(person), deviation));
    expect([answer.status, answer.body.code]).toEqual([400, 'passkey_refused']);
    expect(await passkeysOf(person)).toEqual([]);
  });

  it("takes each challenge once, in the session that asked for it, and nobody else's", async () => {
    const [person, other] = [await registerUser(app), await registerUser(app)];
    const theirs = await creation(other);
    expect((await add(person, new SoftwareAuthenticator(ORIGIN).create(theirs))).status).toBe(400);
    const own = await creation(person);
    const both = await Promise.all(
      [1, 2].map(() => add(person, new SoftwareAuthenticator(ORIGIN).create(own))),
    );
    expect(both.map(({ status }) => status).sort()).toEqual([201, 400]);
    const signInChallenge = await passkeys.signInOptions();
    const mixed = new SoftwareAuthenticator(ORIGIN).create({ ...own, challenge: signInChallenge.challenge });
    expect((await add(person, mixed)).status).toBe(400);
  });

  it('is refused of a passkey that is known', async () => {
    const person = await passkeys.keeper();
    const other = await registerUser(app);
    const answer = await add(other, person.device.create(await creation(other)));
    expect([answer.status, answer.body.code]).toEqual([409, 'passkey_registered']);
  });

  it.each([{}, { id: 'x' }, { response: { clientDataJSON: 'e30' } }, { response: { clientDataJSON: 7 } }])(
    'is refused of what is no credential: %j',
    async (credential) => {
      const person = await registerUser(app);
      expect((await add(person, credential)).status).toBe(400);
      expect((await passkeys.signIn(credential)).status).toBe(401);
    },
  );

  it('has a bound', async () => {
    const person = await passkeys.keeper();
    await app.sql(
      `INSERT INTO passkeys (id, user_id, credential_id, public_key, counter, transports, synced, name)
       SELECT gen_random_uuid(), $1, gen_random_uuid()::text, '', 0, '{}', false, 'x' FROM generate_series(1, 19)`,
      [person.user.id],
    );
    const answer = await person.http.post('/v1/me/passkeys/options');
    expect([answer.status, answer.body.code]).toEqual([409, 'too_many_passkeys']);
  });
});

describe('Signing in by a passkey', () => {
  it('needs no password and no other factor', async () => {
    const person = await passkeys.keeper();
    const answer = await passkeys.signIn(person.device.get(await passkeys.signInOptions()));
    expect(answer.status).toBe(200);
    expect(answer.body.user.id).toBe(person.user.id);
    expect((await http(app, answer.body.accessToken).get('/v1/me')).status).toBe(200);
    const [{ amr }] = await app.sql<{ amr: string[] }>(
      'SELECT amr FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT 1',
      [person.user.id],
    );
    expect(amr).toEqual(['hwk', 'user', 'mfa']);
  });

  it('works by cookie, too', async () => {
    const person = await passkeys.keeper();
    const json = { credential: person.device.get(await passkeys.signInOptions()), transport: 'cookie' };
    const answer = await new Browser(app).post<LoginAnswer>('/v1/auth/passkeys/sign-in', { json });
    expect([answer.status, answer.body.refreshToken]).toEqual([200, undefined]);
  });

  it.each([
    ...DEVIATIONS,
    ['the signature of another key', { key: anotherKey }],
    ["another account's handle", { userHandle: Buffer.alloc(16).toString('base64url') }],
    ['no handle', { userHandle: '' }],
  ] as [string, Deviation][])('is refused with %s', async (_, deviation) => {
    const person = await passkeys.keeper();
    const answer = await passkeys.signIn(person.device.get(await passkeys.signInOptions(), deviation));
    expect([answer.status, answer.body.code]).toEqual([401, 'passkey_refused']);
  });

  it('takes each answer once, of ten at the same time, too', async () => {
    const person = await passkeys.keeper();
    const credential = person.device.get(await passkeys.signInOptions());
    const answers = await Promise.all(Array.from({ length: 10 }, () => passkeys.signIn(credential)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('takes a challenge for five minutes', async () => {
    const person = await passkeys.keeper();
    const options = await passkeys.signInOptions();
    await app.sql(`UPDATE one_time_tokens SET expires_at = now() WHERE purpose = 'passkey-sign-in'`);
    expect((await passkeys.signIn(person.device.get(options))).status).toBe(401);
  });

  it('is refused, recorded and told when the counter does not rise', async () => {
    const person = await passkeys.keeper();
    expect(
      (await passkeys.signIn(person.device.get(await passkeys.signInOptions(), { counter: 50 }))).status,
    ).toBe(200);
    for (const counter of [50, 49, 0]) {
      const answer = await passkeys.signIn(person.device.get(await passkeys.signInOptions(), { counter }));
      expect([answer.status, answer.body.code]).toEqual([401, 'passkey_refused']);
    }
    expect(await actionsOf(app, person.user.id)).toContain('passkey.counter-regressed');
    await mail.mailTo(person.user.email, /may have been copied/);
    expect(
      (await passkeys.signIn(person.device.get(await passkeys.signInOptions(), { counter: 51 }))).status,
    ).toBe(200);
  });

  it('goes on with an authenticator that does not count', async () => {
    const person = await registerUser(app);
    const device = new SoftwareAuthenticator(ORIGIN);
    await add(person, device.create(await creation(person), { counter: 0 }));
    for (let n = 0; n < 2; n++)
      expect((await passkeys.signIn(device.get(await passkeys.signInOptions(), { counter: 0 }))).status).toBe(
        200,
      );
  });

  it('is over with the account, or once it is disabled', async () => {
    const person = await passkeys.keeper();
    await app.sql('UPDATE users SET disabled_at = now() WHERE id = $1', [person.user.id]);
    expect((await passkeys.signIn(person.device.get(await passkeys.signInOptions()))).body.code).toBe(
      'invalid_credentials',
    );
    await app.sql('UPDATE users SET disabled_at = NULL WHERE id = $1', [person.user.id]);
    const json = { password: person.password };
    expect((await person.http.call('DELETE', '/v1/me', { json })).status).toBe(204);
    expect((await passkeys.signIn(person.device.get(await passkeys.signInOptions()))).status).toBe(401);
  });
});

describe('A passkey as the second factor', () => {
  const secondOptions = (mfaToken: string) =>
    optionsOf(http(app).post('/v1/auth/mfa/verify/options', { mfaToken }));

  it('completes a sign-in by password', async () => {
    const person = await passkeys.keeper();
    const { mfaToken, methods } = await challenge(app, person);
    expect(methods).toEqual(['webauthn', 'recovery']);
    const options = await secondOptions(mfaToken);
    expect(options.allowCredentials?.map(({ id }) => id)).toEqual([person.device.id]);
    const credential = person.device.get(options);
    const answer = await verify(app, mfaToken, { method: 'webauthn', credential });
    expect([answer.status, answer.body.user.id]).toEqual([200, person.user.id]);
    expect((await verify(app, mfaToken, { method: 'webauthn', credential })).status).toBe(401);
  });

  it.each([...DEVIATIONS, ['the signature of another key', { key: anotherKey }]] as [string, Deviation][])(
    'is refused with %s',
    async (_, deviation) => {
      const person = await passkeys.keeper();
      const { mfaToken } = await challenge(app, person);
      const credential = person.device.get(await secondOptions(mfaToken), deviation);
      const answer = await verify(app, mfaToken, { credential });
      expect([answer.status, answer.body.code]).toEqual([401, 'passkey_refused']);
    },
  );

  it("of somebody else, for another challenge, or made for another sign-in's, opens nothing", async () => {
    const [person, other] = [await passkeys.keeper(), await passkeys.keeper()];
    const asked = await challenge(app, person);
    const byOther = other.device.get(await secondOptions(asked.mfaToken));
    expect((await verify(app, asked.mfaToken, { credential: byOther })).status).toBe(401);
    const forSignIn = person.device.get(await passkeys.signInOptions());
    expect((await verify(app, asked.mfaToken, { credential: forSignIn })).status).toBe(401);
    const next = await challenge(app, person);
    const forOther = person.device.get(await secondOptions(next.mfaToken));
    expect((await verify(app, asked.mfaToken, { credential: forOther })).status).toBe(401);
    expect(await actionsOf(app, person.user.id)).toContain('mfa.refused');
  });

  it('proves a session again, which a challenge of another session does not', async () => {
    const person = await passkeys.keeper();
    const other = await passkeys.signIn(person.device.get(await passkeys.signInOptions()));
    await growOld(app, person);
    const stepUpOptions = (token?: string) =>
      optionsOf(person.http.post('/v1/auth/mfa/step-up/options', undefined, { token }));
    const elsewhere = person.device.get(await stepUpOptions(other.body.accessToken));
    const refused = await person.http.post('/v1/auth/mfa/step-up', { credential: elsewhere });
    expect([refused.status, refused.body.code]).toEqual([403, 'passkey_refused']);
    const credential = person.device.get(await stepUpOptions());
    expect((await person.http.post('/v1/auth/mfa/step-up', { credential })).status).toBe(204);
    expect((await person.http.post('/v1/auth/mfa/recovery-codes')).status).toBe(200);
  });

  it('has no options without a challenge', async () => {
    const answer = await http(app).post('/v1/auth/mfa/verify/options', { mfaToken: 'x' });
    expect([answer.status, answer.body.code]).toEqual([401, 'invalid_mfa_token']);
  });
});

describe('The list of passkeys', () => {
  it("is paged; one's own can be renamed and removed, nobody else's", async () => {
    const person = await passkeys.keeper();
    await passkeys.keeper(person);
    const first = await person.http.get<PageAnswer<PasskeyAnswer>>('/v1/me/passkeys?limit=1');
    const rest = await person.http.get<PageAnswer<PasskeyAnswer>>(
      `/v1/me/passkeys?limit=1&cursor=${first.body.nextCursor ?? ''}`,
    );
    expect([first.body.data.length, rest.body.data.length, rest.body.nextCursor]).toEqual([1, 1, null]);
    const [{ id }] = first.body.data;
    const renamed = await person.http.patch<PasskeyAnswer>(`/v1/me/passkeys/${id}`, { name: 'Old phone' });
    expect(renamed.body).toMatchObject({ id, name: 'Old phone' });
    const stranger = await registerUser(app);
    for (const each of [id, randomUUID()]) {
      expect((await stranger.http.patch(`/v1/me/passkeys/${each}`, { name: 'Mine' })).status).toBe(404);
      expect((await stranger.http.delete(`/v1/me/passkeys/${each}`)).status).toBe(404);
    }
    expect((await person.http.delete(`/v1/me/passkeys/${id}`)).status).toBe(204);
    expect((await person.http.delete(`/v1/me/passkeys/${id}`)).status).toBe(404);
    expect((await passkeys.signIn(person.device.get(await passkeys.signInOptions()))).status).toBe(401);
    expect(await passkeysOf(person)).toHaveLength(1);
  });

  it('loses the last way to sign in never, not even to two at once', async () => {
    const person = await passkeys.keeper();
    const { id } = await passkeys.keeper(person).then(({ passkey }) => passkey);
    await app.sql('UPDATE users SET password_hash = NULL WHERE id = $1', [person.user.id]);
    const answers = await Promise.all(
      [id, person.passkey.id].map((each) => person.http.delete(`/v1/me/passkeys/${each}`)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 409]);
    expect(answers.find(({ status }) => status === 409)?.body.code).toBe('last_sign_in_method');
  });

  it('ends the other sessions with each that is removed, and recovery codes with the last factor', async () => {
    const person = await passkeys.keeper();
    const other = await passkeys.signIn(person.device.get(await passkeys.signInOptions()));
    expect((await person.http.delete(`/v1/me/passkeys/${person.passkey.id}`)).status).toBe(204);
    expect((await http(app, other.body.accessToken).get('/v1/me')).status).toBe(401);
    expect((await person.http.get('/v1/auth/mfa')).body).toEqual({
      enabled: false,
      methods: [],
      totp: null,
      passkeys: 0,
      recoveryCodesLeft: 0,
    });
  });

  it('and an authenticator app are one another’s way out', async () => {
    const person = await passkeys.keeper();
    const guarded = await new Phones(app).guarded(person);
    expect(guarded.recoveryCodes).toEqual([]);
    expect((await challenge(app, person)).methods).toEqual(['totp', 'webauthn', 'recovery']);
    expect((await person.http.delete('/v1/auth/mfa/totp')).status).toBe(204);
    expect((await challenge(app, person)).methods).toEqual(['webauthn', 'recovery']);
  });
});
