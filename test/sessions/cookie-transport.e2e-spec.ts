import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Instance, TestApp } from '../support/app.js';
import { Browser, setCookies } from '../support/browser.js';
import {
  type CookieLogin,
  credentials,
  CSRF,
  REFRESH,
  refresh,
  signedIn,
} from '../support/cookie-sign-in.js';
import { http } from '../support/http.js';
import { type LoginAnswer, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';

const LISTED = 'https://app.example.com';

let app: TestApp;
/** The same database as production has it: behind https, and with a web app on another origin. */
let secure: Instance;
let strict: Instance;
beforeAll(async () => {
  app = await sharedAtrium();
  secure = await app.startSecondInstance({ PUBLIC_URL: 'https://atrium.example.com', CORS_ORIGINS: LISTED });
  strict = await app.startSecondInstance({ REFRESH_GRACE_SECONDS: '0' });
});
afterAll(() => app.stop());

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
    const { browser, csrfToken, user } = await signedIn(app);
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
    const { browser, csrfToken, accessToken } = await signedIn(app);
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
    const { browser, accessToken } = await signedIn(app);
    const answer = await browser.post(`/v1/auth/${route}`, {
      headers: { ...browser.page, Authorization: `Bearer ${accessToken}` },
    });
    expect(answer.status).toBe(204);
    expect(browser.cookies.size).toBe(0);
  });

  it('leaves the cookie of another session alone', async () => {
    const { browser, accessToken } = await signedIn(app);
    await browser.post('/v1/auth/register', { json: { ...credentials(), transport: 'cookie' } });
    const mine = new Map(browser.cookies);
    const answer = await browser.post('/v1/auth/logout', {
      headers: { ...browser.page, Authorization: `Bearer ${accessToken}` },
    });
    expect(answer.status).toBe(204);
    expect(browser.cookies).toEqual(mine);
  });

  it('a failed refresh clears no cookie: it may be the one that another tab has just got', async () => {
    const { browser, csrfToken } = await signedIn(app);
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
    const { browser, csrfToken } = await signedIn(app);
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
    const { browser, csrfToken } = await signedIn(app);
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
    const { browser } = await signedIn(app);
    const { refreshToken, user } = await registerUser(app);
    const answer = await browser.post<LoginAnswer>('/v1/auth/refresh', { json: { refreshToken } });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ user: { id: user.id }, refreshToken: expect.any(String) });
    expect(setCookies(answer)).toEqual([]);
  });

  it('the cookie opens nothing but refresh and logout', async () => {
    const { browser, csrfToken } = await signedIn(app);
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
