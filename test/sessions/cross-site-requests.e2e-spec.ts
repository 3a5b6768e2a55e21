import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Instance, TestApp } from '../support/app.js';
import { setCookies } from '../support/browser.js';
import { CSRF, REFRESH, refresh, signedIn } from '../support/cookie-sign-in.js';
import { http } from '../support/http.js';
import { sharedAtrium } from '../support/shared-app.js';

const LISTED = 'https://app.example.com';

let app: TestApp;
/** The same database as production has it: behind https, and with a web app on another origin. */
let secure: Instance;
beforeAll(async () => {
  app = await sharedAtrium();
  secure = await app.startSecondInstance({ PUBLIC_URL: 'https://atrium.example.com', CORS_ORIGINS: LISTED });
});
afterAll(() => app.stop());

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
    const { browser, csrfToken } = await signedIn(app);
    const answer = await refresh(browser, csrfToken, headers);
    expect([answer.status, answer.body.code]).toEqual([403, 'foreign_origin']);
    const logout = await browser.post('/v1/auth/logout', {
      headers: { ...headers, 'X-CSRF-Token': csrfToken },
    });
    expect([logout.status, logout.body.code]).toEqual([403, 'foreign_origin']);
    expect((await refresh(browser, csrfToken)).status).toBe(200);
  });

  it('does not log its visitor in', async () => {
    const input = { ...(await signedIn(app)) };
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
    const { browser, csrfToken } = await signedIn(app);
    const answer = await refresh(browser, forge(csrfToken));
    expect([answer.status, answer.body.code]).toEqual([403, 'csrf_failed']);
    expect((await refresh(browser, csrfToken)).status).toBe(200);
  });

  it('must be in the cookie, too', async () => {
    const { browser, csrfToken } = await signedIn(app);
    browser.cookies.delete(CSRF);
    expect((await refresh(browser, csrfToken)).status).toBe(403);
    browser.cookies.set(CSRF, `${csrfToken}0`);
    expect((await refresh(browser, csrfToken)).status).toBe(403);
  });

  it("that is one's own does not open another's session", async () => {
    const victim = await signedIn(app);
    const thief = await signedIn(app);
    thief.browser.cookies.set(REFRESH, victim.browser.cookies.get(REFRESH) ?? '');
    const answer = await refresh(thief.browser, thief.csrfToken);
    expect([answer.status, answer.body.code]).toEqual([403, 'csrf_failed']);
    expect((await refresh(victim.browser, victim.csrfToken)).status).toBe(200);
  });

  it('is asked for by a request that names no origin at all', async () => {
    const { browser, csrfToken } = await signedIn(app);
    expect((await refresh(browser, undefined, {})).status).toBe(403);
    expect((await refresh(browser, csrfToken, {})).status).toBe(200);
  });

  it('a cookie that is no refresh token is refused like one that has ended', async () => {
    const { browser, csrfToken } = await signedIn(app);
    browser.cookies.set(REFRESH, 'j:{"a":1}');
    const answer = await refresh(browser, csrfToken);
    expect([answer.status, answer.body.code]).toEqual([401, 'invalid_refresh_token']);
  });
});
