import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Algorithm, hash } from '@node-rs/argon2';
import { Passwords } from '../../src/accounts/passwords.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { PASSWORD, registerUser } from '../support/people.js';

let app: TestApp;
// With the hashes of the default, which the other tests do without.
beforeAll(async () => void (app = await startAtrium({ PASSWORD_HASH_MEMORY_KIB: '' })));
afterAll(() => app.stop());

const register = (password: string, email: string) =>
  http(app).post('/v1/auth/register', { email, password });
const login = (email: string, password: string) => http(app).post('/v1/auth/login', { email, password });
const hashOf = async (email: string) => {
  const [row] = await app.sql<{ password_hash: string }>('SELECT password_hash FROM users WHERE email = $1', [
    email,
  ]);
  return row.password_hash;
};

const COMMON = 'is one of the most common passwords; choose another, a few words for example';
const ADDRESS = 'must not be the e-mail address';

describe('A password', () => {
  it.each([
    ['password1', COMMON],
    ['Password1', COMMON],
    ['QWERTYUIOP', COMMON],
    ['12345678', COMMON],
    ['ｐａｓｓｗｏｒｄ１', COMMON],
    [' password1 ', COMMON],
    ['ada.lovelace', ADDRESS],
    ['Ada.Lovelace', ADDRESS],
    ['ada.lovelace@example.com', ADDRESS],
    ['ADA.LOVELACE@EXAMPLE.COM', ADDRESS],
  ])('that is easy to guess is refused and nothing is created: %j', async (password, detail) => {
    const answer = await register(password, 'Ada.Lovelace@example.com');
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: '/password', detail }],
    });
    expect(await app.sql(`SELECT 1 FROM users WHERE email LIKE 'ada.%'`)).toEqual([]);
  });

  it.each([
    ['of nothing but spaces', ' '.repeat(8)],
    ['of lower case only', 'correct horse battery'],
    ['of 8 characters outside the BMP', '🦄🦊🐙🦁🐢🦉🐝🦋'],
    ['of 128 of them, 256 UTF-16 units', '🦄'.repeat(128)],
    ['of 128 characters, decomposed into 256', 'u\u0308'.repeat(128)],
  ])('%s may be set and logs in', async (name, password) => {
    const email = `${name.replaceAll(/\W/g, '')}@example.com`;
    expect((await register(password, email)).status).toBe(201);
    expect((await login(email, password)).status).toBe(200);
    expect((await login(email, password.slice(0, -2))).status).toBe(401);
  });

  it.each([
    ['7 characters of two units each', '🦄'.repeat(7)],
    ['8 code points that are 4 characters', 'u\u0308'.repeat(4)],
    ['129 characters of two units each', '🦄'.repeat(129)],
  ])('of %s is refused', async (_, password) => {
    const answer = await register(password, 'length@example.com');
    expect(answer.body.errors).toEqual([
      { pointer: '/password', detail: 'must be a text of 8 to 128 characters' },
    ]);
  });

  it('that is easy to guess does not take the place of another either', async () => {
    const person = await registerUser(app);
    const change = (newPassword: string) =>
      person.http.post('/v1/auth/change-password', { currentPassword: PASSWORD, newPassword });
    for (const [password, detail] of [
      ['iloveyou', COMMON],
      [person.user.email, ADDRESS],
    ])
      expect((await change(password)).body.errors).toEqual([{ pointer: '/newPassword', detail }]);
    expect((await login(person.user.email, PASSWORD)).status).toBe(200);
  });
});

describe('Hashes', () => {
  it('made with less effort are renewed by the next login, once, without ending anything', async () => {
    const person = await registerUser(app);
    const { email } = person.user;
    const weak = await hash(PASSWORD, { algorithm: Algorithm.Argon2id, memoryCost: 8_192, timeCost: 1 });
    await app.sql('UPDATE users SET password_hash = $1 WHERE email = $2', [weak, email]);
    expect((await login(email, 'not the password')).status).toBe(401);
    expect(await hashOf(email)).toBe(weak);
    expect((await login(email, PASSWORD)).status).toBe(200);
    const renewed = await hashOf(email);
    expect(renewed).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect((await login(email, PASSWORD)).status).toBe(200);
    expect(await hashOf(email)).toBe(renewed);
    expect((await person.http.get('/v1/me')).status).toBe(200);
  });

  it.each([
    ['$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA', false],
    ['$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA', false],
    ['$argon2id$v=19$m=19455,t=2,p=1$c2FsdA$aGFzaA', true],
    ['$argon2id$v=19$m=65536,t=1,p=1$c2FsdA$aGFzaA', true],
    ['$argon2i$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA', true],
    ['$argon2id$v=16$m=19456,t=2,p=1$c2FsdA$aGFzaA', true],
    ['$2b$10$abcdefghijklmnopqrstuv', true],
  ])('%s is outdated: %s', (passwordHash, outdated) => {
    expect(app.nest.get(Passwords).isOutdated(passwordHash)).toBe(outdated);
  });
});

describe('A flood of passwords to hash', () => {
  it('is answered, beyond what can wait, by 503 at once, while other requests go on', async () => {
    const { user, http: client } = await registerUser(app);
    const flood = Array.from({ length: 150 }, (_, index) => register(PASSWORD, `flood${index}@example.com`));
    const firstRefusal = Promise.race(
      flood.map(async (answer) => ((await answer).status === 503 ? 'refused' : new Promise(() => undefined))),
    );
    expect(await Promise.race([firstRefusal, Promise.all(flood)])).toBe('refused');
    // The flood goes on while these are answered: nothing they need waits behind it.
    for (let round = 0; round < 5; round++) expect((await client.get('/v1/me')).status).toBe(200);
    const answers = await Promise.all(flood);
    const statuses = answers.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([201, 503]));
    const refused = answers.find(({ status }) => status === 503)!;
    expect(refused.body.code).toBe('unavailable');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await login(user.email, PASSWORD)).status).toBe(200);
  });
});
