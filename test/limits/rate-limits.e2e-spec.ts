import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { type Answer, http, type HttpClient } from '../support/http.js';
import { type LoginAnswer, PASSWORD, registerUser } from '../support/people.js';

let app: TestApp;
beforeAll(async () => {
  app = await startAtrium({
    RATE_LIMIT: 'on',
    RATE_LIMIT_PER_MINUTE: '6',
    RATE_LIMIT_SIGN_INS_PER_MINUTE: '5',
    RATE_LIMIT_REFRESHES_PER_MINUTE: '2',
    TRUST_PROXY: 'loopback',
  });
});
// What a test has used up, the next one has again.
afterEach(() => app.moveClock(60_000));
afterAll(() => app.stop());

/** A client behind a proxy on this machine. */
const from = (address: string) => ({ headers: { 'X-Forwarded-For': address } });

/** What the answer says of the limit. */
const told = ({ headers }: Answer) => ({
  policy: headers.get('ratelimit-policy'),
  limit: headers.get('ratelimit'),
  retryAfter: headers.get('retry-after'),
});

async function statuses(count: number, call: () => Promise<Answer>): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: count }, call));
  return answers.map(({ status }) => status).sort();
}

/** Nobody knows the account, so nothing but the limit of requests decides. */
const tryToLogIn = (client: HttpClient, n: number, address: string) =>
  client.post('/v1/auth/login', { email: `nobody-${n}@example.com`, password: PASSWORD }, from(address));

describe('A principal', () => {
  it('may ask as often as the limit says, is told how often that is, and then to wait', async () => {
    const person = await registerUser(app); // which reads the workspaces, the first request
    const me = await person.http.get('/v1/me');
    expect(told(me)).toEqual({
      policy: '"general";q=6;w=60',
      limit: expect.stringMatching(/^"general";r=4;t=(60|5\d)$/),
      retryAfter: null,
    });
    expect(await statuses(8, () => person.http.get('/v1/me'))).toEqual([
      ...Array<number>(4).fill(200),
      ...Array<number>(4).fill(429),
    ]);
    const refused = await person.http.get('/v1/workspaces');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(refused.body).toMatchObject({ code: 'rate_limited', status: 429 });
    const { policy, limit, retryAfter } = told(refused);
    expect(policy).toBe('"general";q=6;w=60');
    expect(Number(retryAfter)).toBeGreaterThan(50);
    expect(limit).toBe(`"general";r=0;t=${retryAfter}`);
    expect(refused.body.detail).toContain(`${retryAfter} s`);
  });

  it('is counted by itself, at whatever addresses, and takes nothing from others at the same one', async () => {
    const [one, other] = [await registerUser(app), await registerUser(app)];
    let host = 0;
    await statuses(5, () => one.http.get('/v1/me', from(`198.51.100.${++host}`)));
    expect((await one.http.get('/v1/me', from('203.0.113.9'))).status).toBe(429);
    expect((await other.http.get('/v1/me', from('198.51.100.1'))).status).toBe(200);
  });

  it('may go on when the minute is over', async () => {
    const person = await registerUser(app);
    expect(await statuses(6, () => person.http.get('/v1/me'))).toEqual([...Array<number>(5).fill(200), 429]);
    app.moveClock(60_000);
    expect((await person.http.get('/v1/me')).status).toBe(200);
  });

  it('writes nothing by a request that is refused', async () => {
    const person = await registerUser(app);
    const create = () => person.http.post('/v1/items', { title: 'One', type: 'task', data: {} });
    expect(await statuses(8, create)).toEqual([201, 201, 201, 201, 201, 429, 429, 429]);
    expect(await app.sql('SELECT 1 FROM items')).toHaveLength(5);
  });
});

describe('An address without a principal', () => {
  it('may try to sign in less often than others ask', async () => {
    let n = 0;
    const login = () => tryToLogIn(http(app), ++n, '198.51.100.1');
    expect(await statuses(8, login)).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
    const refused = await login();
    expect(refused.body.code).toBe('rate_limited');
    expect(told(refused).policy).toBe('"sign-in";q=5;w=60');
    expect((await tryToLogIn(http(app), ++n, '198.51.100.2')).status).toBe(401);
  });

  it('registers no more accounts than that either', async () => {
    let n = 0;
    const register = () =>
      http(app).post('/v1/auth/register', { email: `${++n}@many.example`, password: PASSWORD });
    expect(await statuses(7, register)).toEqual([201, 201, 201, 201, 201, 429, 429]);
    expect(await app.sql(`SELECT 1 FROM users WHERE email LIKE '%@many.example'`)).toHaveLength(5);
  });

  it('refreshes by a limit of its own, and sign-ins do not use it up', async () => {
    const { refreshToken } = await registerUser(app);
    let n = 0;
    const login = () => tryToLogIn(http(app), ++n, '127.0.0.1');
    expect(await statuses(5, login)).toEqual([401, 401, 401, 401, 429]);
    const refresh = () => http(app).post<LoginAnswer>('/v1/auth/refresh', { refreshToken });
    expect(await statuses(4, refresh)).toEqual([200, 200, 429, 429]);
  });

  it('counts by its /64 in IPv6, where one customer has more addresses than there are stars', async () => {
    let n = 0;
    const login = () => tryToLogIn(http(app), ++n, `2001:db8:1:2:${n}::${n}`);
    expect(await statuses(7, login)).toEqual([401, 401, 401, 401, 401, 429, 429]);
    expect((await tryToLogIn(http(app), ++n, '2001:db8:1:3::1')).status).toBe(401);
  });

  it('that floods with bad tokens is refused before they are looked at; good ones go on', async () => {
    const person = await registerUser(app);
    const guess = () => http(app, `${person.token.slice(0, -4)}AAAA`).get('/v1/me');
    for (let n = 0; n < 5; n++) expect((await guess()).status).toBe(401);
    const refused = await guess();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(50);
    expect((await person.http.get('/v1/me')).status).toBe(200);
    expect((await http(app, 'x.y.z').get('/v1/me', from('198.51.100.1'))).status).toBe(401);
  });
});

describe('Probes', () => {
  it('are never refused, and count for nothing', async () => {
    expect(await statuses(8, () => http(app).get('/health/live'))).toEqual(Array(8).fill(200));
    expect(told(await http(app).get('/health/ready')).policy).toBeNull();
  });
});

describe('RATE_LIMIT=off', () => {
  it('limits nobody and says nothing', async () => {
    const one = { RATE_LIMIT_PER_MINUTE: '1', RATE_LIMIT_SIGN_INS_PER_MINUTE: '1' };
    const off = await app.startSecondInstance({ RATE_LIMIT: 'off', ...one });
    const person = await registerUser(off);
    expect(await statuses(3, () => person.http.get('/v1/me'))).toEqual([200, 200, 200]);
    expect(await statuses(3, () => http(off, 'x.y.z').get('/v1/me'))).toEqual([401, 401, 401]);
    expect(told(await person.http.get('/v1/me'))).toEqual({ policy: null, limit: null, retryAfter: null });
  });
});
