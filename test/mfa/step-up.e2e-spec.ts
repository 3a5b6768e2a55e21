import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { actionsOf, challenge, type GuardedPerson, growOld, Phones, verify } from '../support/mfa.js';
import { type LoginAnswer, PASSWORD, type Person, registerUser } from '../support/people.js';

let app: TestApp;
let phones: Phones;
beforeAll(async () => {
  app = await startAtrium();
  phones = new Phones(app);
});
afterAll(() => app.stop());

const NEW_PASSWORD = 'another long passphrase';
type Route = readonly [method: string, path: string, body?: object];

/** What changes what opens an account, without a word of the password. */
const WITHOUT_PASSWORD: Route[] = [
  ['POST', '/v1/auth/mfa/totp'],
  ['POST', '/v1/auth/mfa/totp/confirm', { code: '000000' }],
  ['DELETE', '/v1/auth/mfa/totp'],
  ['POST', '/v1/auth/mfa/recovery-codes'],
  ['POST', '/v1/me/identities/corp', {}],
  ['DELETE', `/v1/me/identities/${randomUUID()}`],
  ['POST', '/v1/me/passkeys/options'],
  ['POST', '/v1/me/passkeys', { credential: {} }],
  ['DELETE', `/v1/me/passkeys/${randomUUID()}`],
];
/** What asks for the password itself. */
const WITH_PASSWORD: Route[] = [
  ['POST', '/v1/auth/change-password', { currentPassword: PASSWORD, newPassword: NEW_PASSWORD }],
  ['POST', '/v1/me/email', { email: `${randomUUID()}@example.com`, password: PASSWORD }],
  ['DELETE', '/v1/me', { password: PASSWORD }],
];

const send = (person: Person, [method, path, json]: Route) => person.http.call(method, path, { json });
const stepUp = (person: Person, body: object) => person.http.post('/v1/auth/mfa/step-up', body);

describe.each(WITHOUT_PASSWORD)('%s %s', (...route) => {
  it('asks for a recent proof: the password of an account that has no more', async () => {
    const person = await registerUser(app);
    await growOld(app, person);
    const refused = await send(person, route);
    expect([refused.status, refused.body.code]).toEqual([403, 'step_up_required']);
    expect(refused.body).toMatchObject({ methods: ['password'] });
    expect((await stepUp(person, { password: PASSWORD })).status).toBe(204);
    expect((await send(person, route)).body?.code).not.toBe('step_up_required');
  });
});

describe.each([...WITHOUT_PASSWORD, ...WITH_PASSWORD])(
  '%s %s of an account with a second factor',
  (...route) => {
    it('asks for a recent proof by that factor', async () => {
      const person = await phones.guarded();
      await growOld(app, person);
      const refused = await send(person, route);
      expect([refused.status, refused.body.code]).toEqual([403, 'step_up_required']);
      expect(refused.body).toMatchObject({ methods: ['totp', 'recovery'] });
      expect((await stepUp(person, { code: phones.nextCode(person.secret) })).status).toBe(204);
      expect((await send(person, route)).body?.code).not.toBe('step_up_required');
    });

    it('asks for it of a fresh session that has not shown the factor', async () => {
      const person = await phones.guarded();
      await app.sql(`UPDATE sessions SET amr = '{pwd}' WHERE user_id = $1`, [person.user.id]);
      expect((await send(person, route)).body.code).toBe('step_up_required');
    });
  },
);

describe.each(WITH_PASSWORD)('%s %s of an account without a second factor', (...route) => {
  it('takes the password in the request for a proof, however old the session is', async () => {
    const person = await registerUser(app);
    await growOld(app, person);
    expect([202, 204]).toContain((await send(person, route)).status);
  });
});

describe('Proving oneself again', () => {
  const guardedAndOld = async (): Promise<GuardedPerson> => {
    const person = await phones.guarded();
    await growOld(app, person);
    return person;
  };

  it('by the password is not enough for an account with a second factor', async () => {
    const person = await guardedAndOld();
    const answer = await stepUp(person, { password: PASSWORD });
    expect([answer.status, answer.body.code]).toEqual([403, 'step_up_required']);
    expect((await send(person, ['DELETE', '/v1/auth/mfa/totp'])).status).toBe(403);
  });

  it('counts for the present session only', async () => {
    const person = await guardedAndOld();
    const { mfaToken } = await challenge(app, person);
    const other = await verify(app, mfaToken, { code: phones.nextCode(person.secret) });
    await growOld(app, person);
    await stepUp(person, { code: phones.nextCode(person.secret) });
    const elsewhere = await http(app, other.body.accessToken).post('/v1/auth/mfa/recovery-codes');
    expect(elsewhere.body.code).toBe('step_up_required');
    expect((await person.http.post('/v1/auth/mfa/recovery-codes')).status).toBe(200);
  });

  it('is refused with a wrong or used code, recorded, and made to wait', async () => {
    const person = await guardedAndOld();
    const code = phones.nextCode(person.secret);
    expect((await stepUp(person, { code })).status).toBe(204);
    const replay = await stepUp(person, { code });
    expect([replay.status, replay.body.code]).toEqual([403, 'wrong_code']);
    for (let n = 0; n < 4; n++) expect((await stepUp(person, { code: '000000' })).status).toBe(403);
    await stepUp(person, { code: '000000' });
    await app.sql(
      `UPDATE password_attempts SET blocked_until = blocked_until + interval '1 hour' WHERE blocked_until IS NOT NULL`,
    );
    expect((await stepUp(person, { code: phones.nextCode(person.secret) })).status).toBe(429);
    const actions = await actionsOf(app, person.user.id);
    expect(actions).toEqual(expect.arrayContaining(['session.stepped-up', 'mfa.refused']));
  });

  it('with a wrong password is refused', async () => {
    const person = await registerUser(app);
    const answer = await stepUp(person, { password: 'not the password' });
    expect([answer.status, answer.body.code]).toEqual([403, 'wrong_password']);
  });

  it('of an account that has neither password nor factor means to sign in again', async () => {
    const person = await registerUser(app);
    await app.sql('UPDATE users SET password_hash = NULL WHERE id = $1', [person.user.id]);
    await growOld(app, person);
    const answer = await person.http.post('/v1/auth/mfa/totp');
    expect(answer.body).toMatchObject({ code: 'step_up_required', methods: [] });
  });

  it('is kept by a refresh of the tokens', async () => {
    const person = await guardedAndOld();
    await stepUp(person, { code: phones.nextCode(person.secret) });
    const { body } = await http(app).post<LoginAnswer>('/v1/auth/refresh', {
      refreshToken: person.refreshToken,
    });
    expect((await http(app, body.accessToken).post('/v1/auth/mfa/recovery-codes')).status).toBe(200);
  });
});
