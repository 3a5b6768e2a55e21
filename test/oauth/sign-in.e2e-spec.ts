import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import { http } from '../support/http.js';
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
import { type PageAnswer, PASSWORD, registerUser } from '../support/people.js';

let provider: IdentityProvider;
let app: TestApp;
beforeAll(async () => {
  provider = await startIdentityProvider(['corp', 'entra']);
  app = await startWithProviders([
    settingsFor(provider),
    settingsFor(provider, 'entra', { preset: 'microsoft' }),
  ]);
});
afterAll(async () => {
  await app?.stop();
  await provider?.stop();
});

const someone = () => `p-${randomUUID()}`;
const identitiesOf = (userId: string) =>
  app.sql<{ issuer: string; subject: string }>('SELECT issuer, subject FROM identities WHERE user_id = $1', [
    userId,
  ]);

describe('Signing in with a provider', () => {
  it('sends the browser there with PKCE, state and nonce, tied to it by a cookie that scripts cannot read', async () => {
    const page = await newBrowser(app).open(startAddress('corp'));
    expect(page.status).toBe(302);
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(page.location?.origin).toBe(provider.issuer);
    expect(Object.fromEntries(page.location!.searchParams)).toEqual({
      client_id: 'atrium',
      response_type: 'code',
      redirect_uri: `${PUBLIC_URL}/v1/auth/oauth/corp/callback`,
      scope: 'openid email profile',
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
    });
    const [cookie] = page.headers.getSetCookie();
    expect(cookie).toMatch(
      /^atrium-oauth=[\w-]{43}; Max-Age=900; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/,
    );
  });

  it('creates an account with a verified address and a personal workspace, and logs in', async () => {
    const login = someone();
    const { user, accessToken, refreshToken } = await signIn(app, login);
    expect(user).toMatchObject({ email: `${login}@example.com`, emailVerified: true, name: login });
    expect(refreshToken).toMatch(/^\S{40,}$/);
    const client = http(app, accessToken);
    expect((await client.get('/v1/me')).body).toEqual(user);
    const workspaces = await client.get<PageAnswer<unknown>>('/v1/workspaces');
    expect(workspaces.body.data).toEqual([expect.objectContaining({ personal: true, role: 'owner' })]);
    expect(await identitiesOf(user.id)).toEqual([{ issuer: provider.issuer, subject: login }]);
  });

  it('finds the same account the next time, whatever became of the address and name', async () => {
    const login = someone();
    const first = await signIn(app, login);
    provider.people.set(login, {
      email: 'someone.else@example.com',
      email_verified: false,
      name: 'New name',
    });
    const second = await signIn(app, login);
    expect(second.user).toEqual(first.user);
  });

  it('two first sign-ins at once make one account', async () => {
    const login = someone();
    const [one, other] = await Promise.all([signIn(app, login), signIn(app, login)]);
    expect(one.user.id).toBe(other.user.id);
    expect(await identitiesOf(one.user.id)).toHaveLength(1);
  });

  it('comes back to the address that was asked for, if it is listed, and keeps its query', async () => {
    const returnTo = 'https://other.test/back?from=atrium';
    const back = await newBrowser(app).walk(
      startAddress('corp', { returnTo }),
      someone(),
      'https://other.test',
    );
    expect(back.href).toMatch(/^https:\/\/other\.test\/back\?from=atrium&code=[\w-]{43}$/);
  });

  it('shows no token in any address on the way', async () => {
    const browser = newBrowser(app);
    const back = await browser.walk(startAddress('corp'), someone(), RETURN_URL);
    expect([...back.searchParams.keys()]).toEqual(['code']);
  });

  it('hands the session over by cookie for a browser that asks so', async () => {
    const browser = newBrowser(app);
    const back = await browser.walk(startAddress('corp'), someone(), RETURN_URL);
    const answer = await exchange(app, browser, back.searchParams.get('code'), { transport: 'cookie' });
    expect(answer.status).toBe(200);
    expect(answer.body).not.toHaveProperty('refreshToken');
    expect(answer.body).toHaveProperty('csrfToken');
    expect(answer.headers.getSetCookie()[0]).toMatch(/atrium-refresh=[^;]+;.*HttpOnly/);
  });

  it('hands it over to an app of another site by the verifier of its challenge, without a cookie', async () => {
    const codeVerifier = 'v'.repeat(43);
    const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url');
    const walk = async () => {
      const back = await newBrowser(app).walk(startAddress('corp', { codeChallenge }), someone(), RETURN_URL);
      return back.searchParams.get('code');
    };
    const elsewhere = newBrowser(app);
    expect((await exchange(app, elsewhere, await walk(), { codeVerifier })).status).toBe(200);
    expect((await exchange(app, elsewhere, await walk(), { codeVerifier: 'w'.repeat(43) })).status).toBe(400);
    expect((await exchange(app, elsewhere, await walk())).status).toBe(400);
  });

  it('records who came by which identity', async () => {
    const { user } = await signIn(app, someone());
    const entries = await app.sql<{ action: string; detail: Record<string, unknown> }>(
      'SELECT action, detail FROM audit_entries WHERE user_id = $1 ORDER BY id',
      [user.id],
    );
    const actions = entries.map(({ action }) => action);
    expect(actions).toEqual(expect.arrayContaining(['identity.linked', 'identity.used', 'session.opened']));
    const opened = entries.find(({ action }) => action === 'session.opened');
    expect(opened?.detail).toMatchObject({ amr: 'fed' });
    expect(entries.find(({ action }) => action === 'identity.used')?.detail).toMatchObject({
      provider: 'corp',
    });
  });
});

describe('An address that is known already', () => {
  it('is joined if both the provider and the account have proven it', async () => {
    const login = someone();
    const person = await registerUser(app, { email: `${login}@example.com` });
    await app.sql('UPDATE users SET email_verified_at = now() WHERE id = $1', [person.user.id]);
    expect((await signIn(app, login)).user.id).toBe(person.user.id);
    const password = { email: person.user.email, password: PASSWORD };
    expect((await http(app).post('/v1/auth/login', password)).status).toBe(200);
  });

  it('is not joined if the account never proved it: whoever registered it in advance gains nothing', async () => {
    const login = someone();
    const squatter = await registerUser(app, { email: `${login}@example.com` });
    expect(await refusal(app, login)).toBe('account_unverified');
    expect(await identitiesOf(squatter.user.id)).toEqual([]);
    expect((await squatter.http.get('/v1/me')).body).toMatchObject({ emailVerified: false });
  });

  it.each<[string, Record<string, unknown>]>([
    ['says that it is not verified', { email_verified: false }],
    ['says nothing about it', {}],
    ['says something else', { email_verified: 'yes' }],
  ])('is not joined, and no account made, if the provider %s', async (_, claims) => {
    const [known, unknown] = [someone(), someone()];
    const person = await registerUser(app, { email: `${known}@example.com` });
    await app.sql('UPDATE users SET email_verified_at = now() WHERE id = $1', [person.user.id]);
    for (const login of [known, unknown]) {
      provider.people.set(login, { email: `${login}@example.com`, ...claims });
      expect(await refusal(app, login)).toBe('provider_address_unverified');
    }
    expect(await identitiesOf(person.user.id)).toEqual([]);
    expect(await app.sql('SELECT 1 FROM users WHERE email = $1', [`${unknown}@example.com`])).toEqual([]);
  });

  it('is compared in its normal spelling', async () => {
    const login = someone();
    const person = await registerUser(app, { email: `${login}@example.com` });
    await app.sql('UPDATE users SET email_verified_at = now() WHERE id = $1', [person.user.id]);
    provider.people.set(login, { email: `${login.toUpperCase()}@EXAMPLE.com`, email_verified: true });
    expect((await signIn(app, login)).user.id).toBe(person.user.id);
  });

  it('counts at Microsoft only if the organisation owns the domain: anyone can write it into a directory', async () => {
    const [forger, owner] = [someone(), someone()];
    provider.people.set(forger, { email: `${forger}@example.com`, email_verified: true, xms_edov: false });
    provider.people.set(owner, { email: `${owner}@example.com`, xms_edov: true });
    expect(await refusal(app, forger, 'entra')).toBe('provider_address_unverified');
    expect((await signIn(app, owner, { provider: 'entra' })).user.email).toBe(`${owner}@example.com`);
  });
});

describe('A disabled account', () => {
  it('is not opened by its identity', async () => {
    const login = someone();
    const { user } = await signIn(app, login);
    await app.sql('UPDATE users SET disabled_at = now() WHERE id = $1', [user.id]);
    await expect(signIn(app, login)).rejects.toThrow(/401.*invalid_credentials/);
  });
});
