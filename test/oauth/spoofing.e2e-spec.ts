import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import type { TestBrowser } from '../support/provider-browser.js';
import {
  exchange,
  type IdentityProvider,
  newBrowser,
  PUBLIC_URL,
  refusal,
  RETURN_URL,
  settingsFor,
  signIn,
  startAddress,
  startIdentityProvider,
  startWithProviders,
} from '../support/oidc.js';

const CALLBACK = `${PUBLIC_URL}/v1/auth/oauth/corp/callback`;

let provider: IdentityProvider;
let app: TestApp;
beforeAll(async () => {
  provider = await startIdentityProvider(['corp', 'other']);
  app = await startWithProviders([settingsFor(provider), settingsFor(provider, 'other')]);
});
afterEach(() => provider.tamper());
afterAll(async () => {
  await app?.stop();
  await provider?.stop();
});

const someone = () => `p-${randomUUID()}`;
const accountOf = (login: string) =>
  app.sql('SELECT 1 FROM users WHERE email = $1', [`${login}@example.com`]);
/** Signs in at the provider and stops before the answer is brought to Atrium. */
const atCallback = (browser: TestBrowser, login = someone()) =>
  browser.walk(startAddress('corp'), login, CALLBACK);
const changed = (url: URL, change: (query: URLSearchParams) => void) => {
  const copy = new URL(url);
  change(copy.searchParams);
  return copy.href;
};

describe('The answer of a provider', () => {
  it('is taken in the browser that started the sign-in only: nobody is logged in as somebody else', async () => {
    const login = someone();
    const link = await atCallback(newBrowser(app), login);
    const victim = newBrowser(app);
    for (const prepared of [false, true]) {
      if (prepared) await victim.open(startAddress('corp'));
      const page = await victim.open(link.href);
      expect(page.status).toBe(400);
      expect(page.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(JSON.parse(page.text)).toMatchObject({ code: 'invalid_oauth_state' });
    }
    expect(await accountOf(login)).toEqual([]);
  });

  it.each<[string, (query: URLSearchParams) => void]>([
    ['without a state', (query) => query.delete('state')],
    ['with a made-up state', (query) => query.set('state', 'x'.repeat(43))],
    ['with an empty state', (query) => query.set('state', '')],
  ])('is refused %s', async (_, change) => {
    const browser = newBrowser(app);
    const page = await browser.open(changed(await atCallback(browser), change));
    expect(page.status).toBe(400);
    expect(JSON.parse(page.text)).toMatchObject({ code: 'invalid_oauth_state' });
  });

  it('is taken once', async () => {
    const browser = newBrowser(app);
    const link = await atCallback(browser);
    expect((await browser.open(link.href)).location?.searchParams.has('code')).toBe(true);
    expect((await browser.open(link.href)).status).toBe(400);
  });

  it('is taken by whom it was asked for: another provider cannot pass it on', async () => {
    const browser = newBrowser(app);
    const link = await atCallback(browser);
    const page = await browser.open(link.href.replace('/corp/', '/other/'));
    expect(page.status).toBe(400);
  });

  it.each<[string, (query: URLSearchParams) => void]>([
    ['of another issuer', (query) => query.set('iss', 'https://evil.example')],
    ['without the issuer that the provider promises', (query) => query.delete('iss')],
    ['with two states', (query) => query.append('state', 'x'.repeat(43))],
    ['with a made-up code', (query) => query.set('code', 'made-up')],
    ['without a code', (query) => query.delete('code')],
  ])('is refused %s', async (_, change) => {
    const browser = newBrowser(app);
    const login = someone();
    const { location } = await browser.open(changed(await atCallback(browser, login), change));
    expect(location?.href).toBe(`${RETURN_URL}?error=provider_answer_invalid`);
    expect(await accountOf(login)).toEqual([]);
  });

  it("does not let another sign-in's code in: PKCE ties it to its own", async () => {
    const [mine, theirs] = [newBrowser(app), newBrowser(app)];
    const stolen = (await atCallback(theirs)).searchParams.get('code') ?? '';
    const own = await atCallback(mine);
    const { location } = await mine.open(changed(own, (query) => query.set('code', stolen)));
    expect(location?.href).toBe(`${RETURN_URL}?error=provider_answer_invalid`);
  });

  it('that the person refused comes back as such, without the words of the provider', async () => {
    const browser = newBrowser(app);
    const link = await atCallback(browser);
    const denied = changed(link, (query) => {
      query.delete('code');
      query.set('error', 'access_denied');
      query.set('error_description', '<b>words</b>');
    });
    expect((await browser.open(denied)).location?.href).toBe(`${RETURN_URL}?error=provider_refused`);
  });
});

describe('An ID token', () => {
  it.each<[string, Record<string, unknown>]>([
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another client', { aud: 'somebody-else' }],
    ['that has expired', { exp: Math.floor(Date.now() / 1_000) - 3_600 }],
    ['with another nonce', { nonce: 'n'.repeat(43) }],
    ['without a nonce', { nonce: undefined }],
    ['without a subject', { sub: undefined }],
  ])('is refused that is %s', async (_, claims) => {
    provider.tamper((answer) => ({ ...answer, id_token: provider.sign({ ...claimsOf(answer), ...claims }) }));
    const login = someone();
    expect(await refusal(app, login)).toBe('provider_answer_invalid');
    expect(await accountOf(login)).toEqual([]);
  });

  it('is good when it is re-signed unchanged: the tests above fail for their reason', async () => {
    provider.tamper((answer) => ({ ...answer, id_token: provider.sign(claimsOf(answer)) }));
    expect(await refusal(app, someone())).toBeNull();
  });

  it.each<[string, (token: string) => string]>([
    ['whose signature is another', (token) => `${token.slice(0, -6)}AAAAAA`],
    [
      'that says it needs no signature',
      (token) => `${Buffer.from('{"alg":"none"}').toString('base64url')}.${token.split('.')[1] ?? ''}.`,
    ],
    ['that was signed with the client secret', (token) => token.replace(/^[^.]+/, hs256)],
  ])('is refused %s', async (_, forge) => {
    provider.tamper((answer) => ({ ...answer, id_token: forge(answer.id_token) }));
    expect(await refusal(app, someone())).toBe('provider_answer_invalid');
  });

  it('is not taken a second time, from another sign-in of the same person', async () => {
    const login = someone();
    let first: string | undefined;
    provider.tamper((answer) => ({ ...answer, id_token: (first ??= answer.id_token) }));
    await signIn(app, login);
    expect(await refusal(app, login)).toBe('provider_answer_invalid');
  });
});

const hs256 = Buffer.from('{"alg":"HS256"}').toString('base64url');
const claimsOf = ({ id_token }: { id_token: string }) =>
  JSON.parse(Buffer.from(id_token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

describe('The code that comes back to the app', () => {
  const code = async (browser: TestBrowser, login = someone()) =>
    (await browser.walk(startAddress('corp'), login, RETURN_URL)).searchParams.get('code');

  it('is good once, also for many at once', async () => {
    const browser = newBrowser(app);
    const given = await code(browser);
    const answers = await Promise.all(Array.from({ length: 8 }, () => exchange(app, browser, given)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(7).fill(400)]);
  });

  it('is good in the browser that signed in only, and burnt by another', async () => {
    const [browser, thief] = [newBrowser(app), newBrowser(app)];
    await thief.open(startAddress('corp'));
    const given = await code(browser);
    const answer = await exchange<{ code: string }>(app, thief, given);
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid_exchange_code']);
    expect((await exchange(app, browser, given)).status).toBe(400);
  });

  it('is good for a minute', async () => {
    const browser = newBrowser(app);
    const given = await code(browser);
    const age = (seconds: number) =>
      app.sql(
        `UPDATE one_time_tokens SET expires_at = expires_at - make_interval(secs => $1) WHERE purpose = 'oauth-exchange'`,
        [seconds],
      );
    await age(61);
    expect((await exchange(app, browser, given)).status).toBe(400);
    const next = await code(browser);
    await age(50);
    expect((await exchange(app, browser, next)).status).toBe(200);
  });

  it('is worth nothing once the password was changed or the identity unlinked', async () => {
    for (const change of [
      'UPDATE users SET credentials_version = credentials_version + 1 WHERE email = $1',
      'DELETE FROM identities WHERE email = $1',
    ]) {
      const [browser, login] = [newBrowser(app), someone()];
      const given = await code(browser, login);
      await app.sql(change, [`${login}@example.com`]);
      expect((await exchange(app, browser, given)).status).toBe(400);
    }
  });

  it.each([undefined, null, '', 5, ['x'], 'x'.repeat(201)])('must be a code: %j', async (given) => {
    const answer = await http(app).post('/v1/auth/oauth/exchange', { code: given });
    expect(answer.status).toBe(400);
  });
});

describe('The address to return to', () => {
  it.each([
    'https://evil.example/',
    'http://app.test/signed-in/',
    'http://app.test/signed-in?next=//evil.example',
    'http://app.test/signed-in#x',
    'http://app.test/',
    'http://app.test.evil.example/signed-in',
    'http://app.test@evil.example/signed-in',
    'http://evil.example@app.test/signed-in',
    'http://app.test:8080/signed-in',
    'http://app.test:80/signed-in',
    'https://app.test/signed-in',
    'HTTP://app.test/signed-in',
    'http://APP.test/signed-in',
    'http://app.test/Signed-In',
    'http:\\\\app.test\\signed-in',
    'http://app.test\\@evil.example/signed-in',
    'http://app.test/signed-in/../../evil',
    'http://app.test/%73igned-in',
    '//app.test/signed-in',
    '/signed-in',
    ' http://app.test/signed-in',
    'http://app.test/signed-in\n',
    'javascript:alert(1)//http://app.test/signed-in',
    '',
  ])('is one of the list, letter by letter; not %j', async (returnTo) => {
    const page = await newBrowser(app).open(startAddress('corp', { returnTo }));
    expect(page.status).toBe(400);
    expect(page.location).toBeUndefined();
    expect(JSON.parse(page.text)).toMatchObject({ code: 'validation_failed' });
    expect(page.headers.getSetCookie()).toEqual([]);
  });

  it('cannot be given twice', async () => {
    const twice = `${startAddress('corp', { returnTo: RETURN_URL })}&returnTo=https://evil.example`;
    expect((await newBrowser(app).open(twice)).status).toBe(400);
  });
});

describe('A provider', () => {
  it('that nobody configured does not exist', async () => {
    for (const path of ['nobody', 'nobody/callback?state=x', '__proto__', 'constructor'])
      expect([400, 404]).toContain((await http(app).get(`/v1/auth/oauth/${path}`)).status);
    expect((await http(app).get('/v1/auth/oauth/nobody')).body.code).toBe('not_found');
  });
});
