import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import { type GitHubServer, startGitHub } from '../support/github.js';
import { http } from '../support/http.js';
import {
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

let github: GitHubServer;
let shaky: IdentityProvider;
let app: TestApp;
beforeAll(async () => {
  [github, shaky] = [await startGitHub(), await startIdentityProvider(['shaky'])];
  app = await startWithProviders([
    settingsFor({ issuer: github.url }, 'github', { preset: 'github' }),
    settingsFor(shaky, 'shaky'),
    settingsFor({ issuer: `${shaky.issuer}/realms/one` }, 'misnamed'),
    settingsFor({ issuer: 'http://127.0.0.1:9' }, 'gone'),
  ]);
});
afterAll(async () => {
  await app?.stop();
  await shaky?.stop();
  await github?.stop();
});

describe('GitHub', () => {
  const address = (email: string, more = {}) => ({ email, primary: true, verified: true, ...more });

  it('signs in by the number of the account and its verified primary address', async () => {
    github.person = {
      user: { id: 4711, login: 'grace', name: 'Grace', email: 'public@example.com' },
      emails: [address('old@example.com', { primary: false }), address('grace@example.com')],
    };
    const first = await signIn(app, '', { provider: 'github' });
    expect(first.user).toMatchObject({ email: 'grace@example.com', emailVerified: true, name: 'Grace' });
    github.person = { user: { id: 4711, login: 'renamed' }, emails: [] };
    expect((await signIn(app, '', { provider: 'github' })).user.id).toBe(first.user.id);
    const rows = await app.sql('SELECT issuer, subject FROM identities WHERE user_id = $1', [first.user.id]);
    expect(rows).toEqual([{ issuer: github.url, subject: '4711' }]);
  });

  it("does not give somebody else's account to whoever takes over a login name", async () => {
    github.person = { user: { id: 1, login: 'taken' }, emails: [address('first@example.com')] };
    const first = await signIn(app, '', { provider: 'github' });
    github.person = { user: { id: 2, login: 'taken' }, emails: [address('second@example.com')] };
    expect((await signIn(app, '', { provider: 'github' })).user.id).not.toBe(first.user.id);
  });

  it.each<[string, unknown[]]>([
    ['an unverified primary', [address('ada@example.com', { verified: false })]],
    ['a verified address that is not the primary', [address('ada@example.com', { primary: false })]],
    ['no address', []],
  ])('makes no account of %s', async (_, emails) => {
    github.person = { user: { id: 99, email: 'ada@example.com' }, emails };
    expect(await refusal(app, '', 'github')).toBe('provider_address_unverified');
  });

  it.each<[string, unknown, unknown]>([
    ['no number', { login: 'x' }, []],
    ['a text for a number', { id: '4711' }, [address('x@example.com')]],
    ['addresses that are no list', { id: 5 }, { message: 'Not Found' }],
    ['nothing', null, null],
  ])('is not believed when it says %s', async (_, user, emails) => {
    github.person = { user, emails };
    expect(await refusal(app, '', 'github')).toBe('provider_answer_invalid');
  });

  it('is not taken for signed in by a code that it refuses', async () => {
    const browser = newBrowser(app);
    const callback = await browser.walk(startAddress('github'), '', PUBLIC_URL);
    callback.searchParams.set('code', 'made-up');
    const { location } = await browser.open(callback.href);
    expect(location?.search).toBe('?error=provider_answer_invalid');
  });
});

describe('A provider that', () => {
  it('is down is told as such, at once', async () => {
    const answer = await http(app).get('/v1/auth/oauth/gone');
    expect([answer.status, answer.body.code]).toEqual([503, 'provider_unavailable']);
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(answer.headers.getSetCookie()).toEqual([]);
    expect(await app.sql(`SELECT 1 FROM one_time_tokens WHERE data->>'provider' = 'gone'`)).toEqual([]);
  });

  it('calls itself by another issuer is not believed', async () => {
    const answer = await http(app).get('/v1/auth/oauth/misnamed');
    expect(answer.status).toBe(502);
    expect(answer.body.code).toBe('provider_answer_invalid');
  });

  it('hangs keeps nobody waiting for long, and is asked again later', async () => {
    const release = shaky.hang();
    const answers = await Promise.all([1, 2, 3].map(() => http(app).get('/v1/auth/oauth/shaky')));
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
    release();
    expect((await http(app).get('/v1/auth/oauth/shaky')).status).toBe(302);
  });

  it('hangs in the middle of a sign-in sends the browser back with the reason', async () => {
    const browser = newBrowser(app);
    const callback = await browser.walk(startAddress('shaky'), 'somebody', PUBLIC_URL);
    const release = shaky.hang();
    const { location } = await browser.open(callback.href);
    release();
    expect(location?.href).toBe(`${RETURN_URL}?error=provider_unavailable`);
  });

  it('went down in the middle of a sign-in, too', async () => {
    const browser = newBrowser(app);
    const callback = await browser.walk(startAddress('shaky'), 'somebody', PUBLIC_URL);
    await shaky.stop();
    const { location } = await browser.open(callback.href);
    expect(location?.href).toBe(`${RETURN_URL}?error=provider_unavailable`);
  });
});
