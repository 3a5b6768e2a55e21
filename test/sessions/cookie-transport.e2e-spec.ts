import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { Browser, setCookies } from '../support/browser.js';
import { http } from '../support/http.js';
import { type LoginAnswer, PASSWORD, registerUser } from '../support/people.js';

type CookieLogin = Omit<LoginAnswer, 'refreshToken'> & { csrfToken: string; refreshToken?: undefined };

const REFRESH = 'atrium-refresh';
const CSRF = 'atrium-csrf';
const LISTED = 'https://app.example.com';

let app: TestApp;
/** The same database as production has it: behind https, and with a web app on another origin. */
let secure: Instance;
let strict: Instance;
beforeAll(async () => {
  app = await startAtrium();
  secure = await app.startSecondInstance({ PUBLIC_URL: 'https://atrium.example.com', CORS_ORIGINS: LISTED });
  strict = await app.startSecondInstance({ REFRESH_GRACE_SECONDS: '0' });
});
afterAll(() => app.stop());

const credentials = () => ({ email: `${randomUUID()}@example.com`, password: PASSWORD });

/** Somebody who has registered in a browser. */
async function signedIn(at: { url: string } = app) {
  const browser = new Browser(at);
  const input = credentials();
  const { status, body } = await browser.post<CookieLogin>('/v1/auth/register', {
    json: { ...input, transport: 'cookie' },
  });
  expect(status).toBe(201);
  return { browser, ...input, ...body };
}

const refresh = (browser: Browser, csrfToken?: string, headers: Record<string, string> = browser.page) =>
  browser.post<CookieLogin & { code: string }>('/v1/auth/refresh', {
    headers: { ...headers, ...(csrfToken === undefined ? {} : { 'X-CSRF-Token': csrfToken }) },
  });

describe('The cookie transport', () => {
  it('keeps the refresh token out of the body, in a cookie that no script can read', async () => {
    const input = credentials();
    for (const route of ['register', 'login']) {
      const answer = await new Browser(app).post<CookieLogin>(`/v1/auth/${route}`, {
        json: { ...input, transport: 'cookie' },
      });
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect(Object.keys(answer.body).sort()).toEqual([
        'accessToken',
        'csrfToken',
        'expiresIn',
        'tokenType',
        'user',
      ]);
      expect(answer.text).not.toContain('atr_');
      const [token, csrf, ...more] = setCookies(answer);
      expect(token).toEqual({
        name: REFRESH,
        value: expect.stringMatching(/^atr_/),
        attributes: {
          'max-age': '1209600',
          path: '/',
          expires: expect.any(String),
          httponly: '',
          samesite: 'Strict',
        },
      });
      // The web app reads this one, to repeat it in the header.
      expect(csrf).toMatchObject({ name: CSRF, value: answer.body.csrfToken });
      expect(csrf.attributes).not.toHaveProperty('httponly');
      expect(more).toEqual([]);
    }
  });

  it('over https they are __Host- cookies: secure, of this host alone, for every path', async () => {
    const answer = await http(secure).post('/v1/auth/register', { ...credentials(), transport: 'cookie' });
    expect(answer.status).toBe(201);
    const cookies = setCookies(answer);
    expect(cookies.map(({ name }) => name)).toEqual([`__Host-${REFRESH}`, `__Host-${CSRF}`]);
    for (const { attributes } of cookies) {
      expect(attributes).toMatchObject({ secure: '', path: '/', samesite: 'Strict' });
      expect(attributes).not.toHaveProperty('domain');
    }
  });

  it('refreshes without a body, and keeps the CSRF token that other tabs hold', async () => {
    const { browser, csrfToken, user } = await signedIn();
    for (let round = 0; round < 3; round++) {
      const before = browser.cookies.get(REFRESH);
      const answer = await refresh(browser, csrfToken);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect(answer.body).toMatchObject({ csrfToken, user: { id: user.id } });
      expect(answer.text).not.toContain('atr_');
      expect(browser.cookies.get(REFRESH)).not.toBe(before);
      expect((await http(app, answer.body.accessToken).get('/v1/me')).status).toBe(200);
    }
  });

  it('logs out by the cookie, which goes with it', async () => {
    const { browser, csrfToken, accessToken } = await signedIn();
    const refused = await browser.post('/v1/auth/logout');
    expect([refused.status, refused.body.code]).toEqual([403, 'csrf_failed']);
    expect(browser.cookies.size).toBe(2);
    const answer = await browser.post('/v1/auth/logout', {
      headers: { ...browser.page, 'X-CSRF-Token': csrfToken },
    });
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(browser.cookies.size).toBe(0);
    expect((await http(app, accessToken).get('/v1/me')).status).toBe(401);
  });

  it.each(['logout', 'logout-all'])('%s by the access token takes its own cookie along', async (route) => {
    const { browser, accessToken } = await signedIn();
    const answer = await browser.post(`/v1/auth/${route}`, {
      headers: { ...browser.page, Authorization: `Bearer ${accessToken}` },
    });
    expect(answer.status).toBe(204);
    expect(browser.cookies.size).toBe(0);
  });

  it('leaves the cookie of another session alone', async () => {
    const { browser, accessToken } = await signedIn();
    await browser.post('/v1/auth/register', { json: { ...credentials(), transport: 'cookie' } });
    const mine = new Map(browser.cookies);
    const answer = await browser.post('/v1/auth/logout', {
      headers: { ...browser.page, Authorization: `Bearer ${accessToken}` },
    });
    expect(answer.status).toBe(204);
    expect(browser.cookies).toEqual(mine);
  });

  it('a failed refresh clears no cookie: it may be the one that another tab has just got', async () => {
    const { browser, csrfToken } = await signedIn();
    const old = browser.cookies.get(REFRESH) ?? '';
    expect((await refresh(browser, csrfToken)).status).toBe(200);
    browser.cookies.set(REFRESH, old);
    const late = new Browser(strict);
    for (const [name, value] of browser.cookies) late.cookies.set(name, value);
    const answer = await refresh(late, csrfToken);
    expect([answer.status, answer.body.code]).toEqual([401, 'invalid_refresh_token']);
    expect(setCookies(answer)).toEqual([]);
    const forged = await refresh(browser, 'forged');
    expect(forged.status).toBe(403);
    expect(setCookies(forged)).toEqual([]);
  });

  it('an answer that arrives late never puts an older token into the place of a newer one', async () => {
    const { browser, csrfToken } = await signedIn();
    const first = browser.cookies.get(REFRESH) ?? '';
    await refresh(browser, csrfToken);
    await refresh(browser, csrfToken);
    const newest = browser.cookies.get(REFRESH);
    const slow = new Browser(app);
    for (const [name, value] of browser.cookies) slow.cookies.set(name, value);
    slow.cookies.set(REFRESH, first);
    expect((await refresh(slow, csrfToken)).status).toBe(200);
    expect(slow.cookies.get(REFRESH)).toBe(newest);
  });

  it('fifty tabs that refresh at once end up with one cookie', async () => {
    const { browser, csrfToken } = await signedIn();
    const tabs = Array.from({ length: 50 }, () => {
      const tab = new Browser(app);
      for (const [name, value] of browser.cookies) tab.cookies.set(name, value);
      return tab;
    });
    const answers = await Promise.all(tabs.map((tab) => refresh(tab, csrfToken)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(tabs.map(({ cookies }) => cookies.get(REFRESH))).size).toBe(1);
  });

  it('a token in the body goes before the cookie, and is answered in the body', async () => {
    const { browser } = await signedIn();
    const { refreshToken, user } = await registerUser(app);
    const answer = await browser.post<LoginAnswer>('/v1/auth/refresh', { json: { refreshToken } });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ user: { id: user.id }, refreshToken: expect.any(String) });
    expect(setCookies(answer)).toEqual([]);
  });

  it('the cookie opens nothing but refresh and logout', async () => {
    const { browser, csrfToken } = await signedIn();
    const headers = { ...browser.page, 'X-CSRF-Token': csrfToken };
    expect((await browser.call('GET', '/v1/me', { headers })).status).toBe(401);
    expect((await browser.post('/v1/auth/logout-all', { headers })).status).toBe(401);
  });

  it.each(['header', 'session', '', null, 1])('refuses %p as a transport', async (transport) => {
    const answer = await http(app).post('/v1/auth/login', { ...credentials(), transport });
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([{ pointer: '/transport', detail: 'must be body or cookie' }]);
  });

  it('without a token and without a cookie it says what is missing', async () => {
    for (const json of [undefined, {}]) {
      const answer = await http(app).post('/v1/auth/refresh', json);
      expect(answer.status).toBe(400);
      expect(answer.body.errors).toEqual([{ pointer: '/refreshToken', detail: 'must be a refresh token' }]);
    }
  });
});

describe('A request that another page makes the browser send', () => {
  it.each([
    ['of a foreign Origin', { Origin: 'https://evil.example' }],
    ['of no origin that can be named', { Origin: 'null' }],
    ['of our host under another port', { Origin: 'http://127.0.0.1:1' }],
    ['of another site', { 'Sec-Fetch-Site': 'cross-site' }],
    ['of a sibling of our site', { 'Sec-Fetch-Site': 'same-site' }],
    [
      'of a sibling that claims our Origin',
      { 'Sec-Fetch-Site': 'same-site', Origin: 'https://x.example.com' },
    ],
    ['of an unlisted https twin', { Origin: 'https://app.example.com.evil.example' }],
  ])('%s is refused, even with the CSRF token', async (_, headers: Record<string, string>) => {
    const { browser, csrfToken } = await signedIn();
    const answer = await refresh(browser, csrfToken, headers);
    expect([answer.status, answer.body.code]).toEqual([403, 'foreign_origin']);
    const logout = await browser.post('/v1/auth/logout', {
      headers: { ...headers, 'X-CSRF-Token': csrfToken },
    });
    expect([logout.status, logout.body.code]).toEqual([403, 'foreign_origin']);
    expect((await refresh(browser, csrfToken)).status).toBe(200);
  });

  it('does not log its visitor in', async () => {
    const input = { ...(await signedIn()) };
    const answer = await http(app).post(
      '/v1/auth/login',
      { email: input.email, password: input.password, transport: 'cookie' },
      { headers: { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site' } },
    );
    expect([answer.status, answer.body.code]).toEqual([403, 'foreign_origin']);
    expect(setCookies(answer)).toEqual([]);
  });

  it('is let in from an origin of CORS_ORIGINS, whose scripts may use the cookie', async () => {
    const { browser, csrfToken } = await signedIn(secure);
    const page = { Origin: LISTED, 'Sec-Fetch-Site': 'same-site' };
    const answer = await refresh(browser, csrfToken, page);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('access-control-allow-origin')).toBe(LISTED);
    expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
    const preflight = await http(secure).call('OPTIONS', '/v1/auth/refresh', {
      headers: {
        Origin: LISTED,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'x-csrf-token',
      },
    });
    expect(preflight.headers.get('access-control-allow-headers')).toBe('x-csrf-token');
    expect(preflight.headers.get('access-control-allow-credentials')).toBe('true');
    expect((await refresh(browser, csrfToken, { Origin: 'https://other.example.com' })).status).toBe(403);
  });

  it('is let in from the address that PUBLIC_URL names, whatever the proxy made of Host', async () => {
    const { browser, csrfToken } = await signedIn(secure);
    const page = { Origin: 'https://atrium.example.com', 'Sec-Fetch-Site': 'same-origin' };
    expect((await refresh(browser, csrfToken, page)).status).toBe(200);
  });

  it('gets no credentials by a wildcard', async () => {
    const open = await app.startSecondInstance({ CORS_ORIGINS: '*' });
    const { browser, csrfToken } = await signedIn(open);
    const answer = await refresh(browser, csrfToken, { Origin: 'https://evil.example' });
    expect(answer.status).toBe(403);
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
  });
});

describe('The CSRF token', () => {
  it.each([
    ['is missing', () => undefined],
    ['is empty', () => ''],
    ['is forged', () => `${'0'.repeat(64)}.${'0'.repeat(64)}`],
    ['has another signature', (token: string) => token.replace(/^./, (c) => (c === '0' ? '1' : '0'))],
    ['is cut short', (token: string) => token.slice(0, -1)],
  ])('must be in the header: one that %s is refused', async (_, forge) => {
    const { browser, csrfToken } = await signedIn();
    const answer = await refresh(browser, forge(csrfToken));
    expect([answer.status, answer.body.code]).toEqual([403, 'csrf_failed']);
    expect((await refresh(browser, csrfToken)).status).toBe(200);
  });

  it('must be in the cookie, too', async () => {
    const { browser, csrfToken } = await signedIn();
    browser.cookies.delete(CSRF);
    expect((await refresh(browser, csrfToken)).status).toBe(403);
    browser.cookies.set(CSRF, `${csrfToken}0`);
    expect((await refresh(browser, csrfToken)).status).toBe(403);
  });

  it("that is one's own does not open another's session", async () => {
    const victim = await signedIn();
    const thief = await signedIn();
    thief.browser.cookies.set(REFRESH, victim.browser.cookies.get(REFRESH) ?? '');
    const answer = await refresh(thief.browser, thief.csrfToken);
    expect([answer.status, answer.body.code]).toEqual([403, 'csrf_failed']);
    expect((await refresh(victim.browser, victim.csrfToken)).status).toBe(200);
  });

  it('is asked for by a request that names no origin at all', async () => {
    const { browser, csrfToken } = await signedIn();
    expect((await refresh(browser, undefined, {})).status).toBe(403);
    expect((await refresh(browser, csrfToken, {})).status).toBe(200);
  });

  it('a cookie that is no refresh token is refused like one that has ended', async () => {
    const { browser, csrfToken } = await signedIn();
    browser.cookies.set(REFRESH, 'j:{"a":1}');
    const answer = await refresh(browser, csrfToken);
    expect([answer.status, answer.body.code]).toEqual([401, 'invalid_refresh_token']);
  });
});
