import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Passwords } from '../../src/accounts/passwords.js';
import { PasswordAttempts } from '../../src/rate-limits/password-attempts.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { type Answer, http, type ProblemAnswer } from '../support/http.js';
import { PASSWORD, type Person, registerUser } from '../support/people.js';

let app: TestApp;
let second: Instance;
beforeAll(async () => {
  app = await startAtrium({ TRUST_PROXY: 'loopback' });
  second = await app.startSecondInstance();
});
afterEach(() => app.sql('TRUNCATE password_attempts'));
afterAll(() => app.stop());

const HOME = '198.51.100.1';
const STRANGER = '203.0.113.66';

const login = (
  email: string,
  password: string,
  address: string,
  instance: Instance = app,
): Promise<Answer<ProblemAnswer>> =>
  http(instance).post('/v1/auth/login', { email, password }, { headers: { 'X-Forwarded-For': address } });

const fail = (email: string, address: string, instance?: Instance) =>
  login(email, 'not the password', address, instance);

const retryAfter = ({ headers }: Answer): number => Number(headers.get('retry-after'));

/**
 * Makes every wait that is on an hour longer, so that a slow machine does not outlast it.
 * @returns the longest that was on, in seconds
 */
async function holdWaits(): Promise<number> {
  const [row] = await app.sql<{ wait: number }>(
    `WITH waits AS (SELECT key, blocked_until - last_at AS wait FROM password_attempts WHERE blocked_until IS NOT NULL),
       held AS (UPDATE password_attempts SET blocked_until = blocked_until + interval '1 hour')
     SELECT coalesce(max(extract(epoch FROM wait)), 0)::float8 AS wait FROM waits`,
  );
  return row.wait;
}

/** The database judges the time, so it is its past that is moved. */
const endWaits = () =>
  app.sql('UPDATE password_attempts SET blocked_until = now() WHERE blocked_until IS NOT NULL');

/** Fails five times, so that the next attempt has to wait. */
async function failUntilWaiting(email: string, address: string): Promise<void> {
  for (let n = 0; n < 5; n++) expect((await fail(email, address)).status).toBe(401);
  expect(await holdWaits()).toBe(1);
}

/** Somebody who signs in at home. */
async function owner(): Promise<Person> {
  const person = await registerUser(app);
  expect((await login(person.user.email, PASSWORD, HOME)).status).toBe(200);
  return person;
}

/** Counts the passwords that an instance looks at. */
function countHashing(instance: Instance): () => number {
  const passwords = instance.nest.get(Passwords, { strict: false });
  const matches = passwords.matches.bind(passwords);
  let count = 0;
  passwords.matches = (hash, password) => {
    count++;
    return matches(hash, password);
  };
  return () => count;
}

describe('Guessing a password', () => {
  it('has to wait after five failures, twice as long after each further one', async () => {
    const { user } = await registerUser(app);
    await failUntilWaiting(user.email, STRANGER);
    const refused = await fail(user.email, STRANGER);
    expect(refused.status).toBe(429);
    expect(retryAfter(refused)).toBeGreaterThan(3_590);
    expect(retryAfter(refused)).toBeLessThanOrEqual(3_601);
    const waits: number[] = [];
    for (let n = 0; n < 12; n++) {
      await endWaits();
      expect((await fail(user.email, STRANGER)).status).toBe(401);
      waits.push(await holdWaits());
      expect((await fail(user.email, STRANGER)).status).toBe(429);
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
  });

  it('is refused before the password is looked at, and the right one too', async () => {
    const { user } = await registerUser(app);
    const hashed = countHashing(app);
    await failUntilWaiting(user.email, STRANGER);
    expect(hashed()).toBe(5);
    const right = await login(user.email, PASSWORD, STRANGER);
    expect(right.status).toBe(429);
    expect(right.body).toMatchObject({ code: 'too_many_attempts', status: 429 });
    expect(right.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(hashed()).toBe(5);
    await endWaits();
    expect((await login(user.email, PASSWORD, STRANGER)).status).toBe(200);
  });

  it('goes no further by many guesses at once, on two instances', async () => {
    const { user } = await registerUser(app);
    const hashed = [countHashing(app), countHashing(second)];
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) => fail(user.email, STRANGER, n % 2 ? app : second)),
    );
    const refused = answers.filter(({ status }) => status === 429).length;
    // Five, and those whose wait was over by the time that their turn came.
    expect(refused).toBeGreaterThanOrEqual(50);
    expect(hashed.reduce((sum, count) => sum + count(), 0)).toBe(60 - refused);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(60 - refused);
  });

  it('is counted on all instances together', async () => {
    const { user } = await registerUser(app);
    await failUntilWaiting(user.email, STRANGER);
    expect((await fail(user.email, STRANGER, second)).status).toBe(429);
  });

  it('is no easier in another spelling of the address, or from the same /64', async () => {
    const { user } = await registerUser(app);
    for (let n = 0; n < 5; n++) await fail(user.email.toUpperCase(), `2001:db8::${n}`);
    await holdWaits();
    expect((await fail(user.email, '2001:db8::ffff')).status).toBe(429);
  });

  it('looks the same at an account that does not exist, in answers, headers and waits', async () => {
    const { user } = await registerUser(app);
    const nobody = `${randomUUID()}@example.com`;
    for (let n = 0; n < 5; n++)
      for (const email of [user.email, nobody]) expect((await fail(email, STRANGER)).status).toBe(401);
    await holdWaits();
    const [unknown, known] = [await fail(nobody, STRANGER), await fail(user.email, STRANGER)];
    expect([unknown.status, known.status]).toEqual([429, 429]);
    const comparable = ({ body }: Answer<ProblemAnswer>) => ({ ...body, requestId: '', detail: '' });
    expect(comparable(unknown)).toEqual(comparable(known));
    expect([...unknown.headers.keys()]).toEqual([...known.headers.keys()]);
  });

  it('of many accounts from one address has to wait, too; others do not', async () => {
    for (let n = 0; n < 30; n++)
      expect((await fail(`${randomUUID()}@example.com`, STRANGER)).status).toBe(401);
    expect(await holdWaits()).toBe(1);
    expect((await fail(`${randomUUID()}@example.com`, STRANGER)).status).toBe(429);
    expect((await fail(`${randomUUID()}@example.com`, '203.0.113.67')).status).toBe(401);
  });

  it('of one account from everywhere has to wait a minute at most', async () => {
    const { user } = await registerUser(app);
    let n = 0;
    const everywhere = () => fail(user.email, `192.0.2.${++n}`);
    for (let failures = 0; failures < 50; failures++) expect((await everywhere()).status).toBe(401);
    expect(await holdWaits()).toBe(1);
    expect((await everywhere()).status).toBe(429);
    const waits: number[] = [];
    for (let step = 0; step < 8; step++) {
      await endWaits();
      expect((await everywhere()).status).toBe(401);
      waits.push(await holdWaits());
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 60, 60, 60]);
  });

  it('by somebody who is logged in, at the change of the password, waits as well', async () => {
    const person = await registerUser(app);
    const guess = () =>
      person.http.post('/v1/auth/change-password', {
        currentPassword: 'not the password',
        newPassword: 'a longer one than before',
      });
    for (let n = 0; n < 5; n++) expect((await guess()).body.code).toBe('wrong_password');
    await holdWaits();
    expect((await guess()).body.code).toBe('too_many_attempts');
  });
});

describe('The owner of an account', () => {
  it('is let in at home while a stranger fails elsewhere', async () => {
    const { user } = await owner();
    await failUntilWaiting(user.email, STRANGER);
    expect((await login(user.email, PASSWORD, HOME)).status).toBe(200);
  });

  it('is let in at home, even mistyping, while the whole world fails', async () => {
    const { user } = await owner();
    for (let n = 1; n <= 50; n++) await fail(user.email, `192.0.2.${n}`);
    await holdWaits();
    expect((await login(user.email, PASSWORD, '192.0.2.99')).status).toBe(429);
    expect((await fail(user.email, HOME)).status).toBe(401);
    expect((await login(user.email, PASSWORD, HOME)).status).toBe(200);
  });

  it('is let in where a neighbour at the same address tries the accounts of others', async () => {
    const { user } = await owner();
    for (let n = 0; n < 30; n++) await fail(`${randomUUID()}@example.com`, HOME);
    await holdWaits();
    expect((await fail(`${randomUUID()}@example.com`, HOME)).status).toBe(429);
    expect((await login(user.email, PASSWORD, HOME)).status).toBe(200);
  });

  it('begins anew after the right password', async () => {
    const { user } = await registerUser(app);
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 4; n++) expect((await fail(user.email, STRANGER)).status).toBe(401);
      expect((await login(user.email, PASSWORD, STRANGER)).status).toBe(200);
    }
  });

  it('is forgiven with time', async () => {
    const { user } = await registerUser(app);
    await failUntilWaiting(user.email, STRANGER);
    await app.sql(
      `UPDATE password_attempts SET last_at = last_at - interval '3 hours', blocked_until = now()`,
    );
    for (let n = 0; n < 3; n++) expect((await fail(user.email, STRANGER)).status).toBe(401);
    await holdWaits();
    expect((await fail(user.email, STRANGER)).status).toBe(429);
  });

  it('may sign in on twenty devices at once', async () => {
    const { user } = await registerUser(app);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => login(user.email, PASSWORD, STRANGER)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(200));
  });
});

describe('What is kept of attempts', () => {
  it('goes when it is of no more use; where an account signs in is remembered for longer', async () => {
    const person = await owner();
    await fail(`${randomUUID()}@example.com`, STRANGER);
    const kinds = async () => {
      await app.nest.get(PasswordAttempts, { strict: false }).purge();
      const rows = await app.sql<{ kind: string }>('SELECT kind FROM password_attempts ORDER BY kind');
      return rows.map(({ kind }) => kind);
    };
    const before = await kinds();
    // More than go at once.
    await app.sql(`INSERT INTO password_attempts (key, kind, failures, last_at)
      SELECT sha256(n::text::bytea), 'address', 1, now() FROM generate_series(1, 2500) n`);
    await app.sql(`UPDATE password_attempts SET last_at = last_at - interval '3 days'`);
    expect(before.length).toBeGreaterThan(3);
    // The login of the registration, and the one at home.
    expect(await kinds()).toEqual(['pair', 'pair']);
    await app.sql(`UPDATE password_attempts SET signed_in_at = signed_in_at - interval '181 days'`);
    expect(await kinds()).toEqual([]);
    expect((await login(person.user.email, PASSWORD, HOME)).status).toBe(200);
  });

  it('names neither an account nor an address', async () => {
    await fail('somebody@example.com', STRANGER);
    const [row] = await app.sql<{ text: string }>(
      `SELECT string_agg(a::text || convert_from(decode(encode(key, 'base64'), 'base64'), 'LATIN1'), ' ') AS text
       FROM password_attempts a`,
    );
    expect(row.text).not.toMatch(/somebody|example|203\.0\.113/);
    expect(await app.sql('SELECT octet_length(key) AS n FROM password_attempts')).toEqual([
      { n: 32 },
      { n: 32 },
      { n: 32 },
    ]);
  });
});
