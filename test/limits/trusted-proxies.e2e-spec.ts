import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { PASSWORD, registerUser } from '../support/people.js';

let app: TestApp;
let loopback: Instance;
/** How many refused sign-ins the trail had before the test. */
let before: number;
beforeAll(async () => {
  app = await startAtrium({ RATE_LIMIT: 'on', RATE_LIMIT_SIGN_INS_PER_MINUTE: '4' });
  loopback = await app.startSecondInstance({ TRUST_PROXY: 'loopback' });
});
beforeEach(async () => {
  before = 0;
  before = (await recorded()).length;
});
// What a test has used up, the next one has again.
afterEach(() => {
  for (const instance of [app, loopback]) instance.moveClock(60_000);
});
afterAll(() => app.stop());

const trusting = (TRUST_PROXY: string) =>
  TRUST_PROXY === 'loopback' ? loopback : app.startSecondInstance({ TRUST_PROXY });

/** Everything that proxies use to say who called. */
const forged = (address: string) => ({
  'X-Forwarded-For': address,
  Forwarded: `for=${address}`,
  'X-Real-IP': address,
  'X-Client-IP': address,
  'True-Client-IP': address,
  'CF-Connecting-IP': address,
});

let attempts = 0;
const login = async (headers: Record<string, string>, at: Instance = app) => {
  const body = { email: `nobody-${++attempts}@example.com`, password: PASSWORD };
  return (await http(at).post('/v1/auth/login', body, { headers })).status;
};

/** The addresses that the trail names for the test's refused sign-ins, oldest first. */
const recorded = async () =>
  (
    await app.sql<{ address: string }>(
      `SELECT address FROM audit_entries WHERE action = 'session.refused' ORDER BY id`,
    )
  )
    .map(({ address }) => address)
    .slice(before);

describe('Without TRUST_PROXY', () => {
  it('a forged header is no way around the limits', async () => {
    for (let n = 1; n <= 4; n++) expect(await login(forged(`198.51.100.${n}`))).toBe(401);
    expect(await login(forged('198.51.100.5'))).toBe(429);
  });

  it('a forged header cannot put somebody else into the audit trail or the list of sessions', async () => {
    await login(forged('198.51.100.1'));
    expect(await recorded()).toEqual(['127.0.0.1']);
    const person = await registerUser(app);
    const body = { email: person.user.email, password: person.password };
    await http(app).post('/v1/auth/login', body, { headers: forged('198.51.100.2') });
    const addresses = await app.sql('SELECT DISTINCT address FROM sessions');
    expect(addresses).toEqual([{ address: '127.0.0.1' }]);
  });
});

describe('With TRUST_PROXY', () => {
  it.each([
    ['by address', '127.0.0.1'],
    ['by network', '10.0.0.0/8,127.0.0.0/8'],
    ['by name', 'loopback'],
    ['by number', '1'],
  ])('named %s, the client is whom the proxy names, not whom the client names', async (_, proxies) => {
    const at = await trusting(proxies);
    expect(await login({ 'X-Forwarded-For': '192.0.2.66, 198.51.100.7' }, at)).toBe(401);
    expect(await recorded()).toEqual(['198.51.100.7']);
  });

  it('a client that claims another address each time is still limited by the one that the proxy saw', async () => {
    const claim = (n: number) => ({ 'X-Forwarded-For': `192.0.2.${n}, 198.51.100.7` });
    for (let n = 1; n <= 4; n++) expect(await login(claim(n), loopback)).toBe(401);
    expect(await login(claim(5), loopback)).toBe(429);
    expect(await login({ 'X-Forwarded-For': '198.51.100.8' }, loopback)).toBe(401);
  });

  it('two proxies in a row are two steps back, and not three', async () => {
    await login({ 'X-Forwarded-For': '192.0.2.66, 198.51.100.7, 10.1.1.1' }, await trusting('2'));
    expect(await recorded()).toEqual(['198.51.100.7']);
  });

  it('a proxy that is not named is a client like any other', async () => {
    await login({ 'X-Forwarded-For': '198.51.100.7' }, await trusting('10.0.0.0/8'));
    expect(await recorded()).toEqual(['127.0.0.1']);
  });

  it.each(['not an address', '198.51.100.7:4711', '<script>', '1'.repeat(4_000)])(
    'what is no address is not taken for one: %.20s',
    async (claim) => {
      expect(await login({ 'X-Forwarded-For': claim }, loopback)).toBe(401);
      expect(await recorded()).toEqual(['127.0.0.1']);
    },
  );

  it('an IPv4 address in an IPv6 spelling is the IPv4 address', async () => {
    await login({ 'X-Forwarded-For': '::ffff:198.51.100.7' }, loopback);
    expect(await recorded()).toEqual(['198.51.100.7']);
  });
});
