import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import Provider from 'oidc-provider';
import { startAtrium, type TestApp, type Variables } from './app.js';
import { TestBrowser } from './provider-browser.js';
import { type Answer, http } from './http.js';
import type { LoginAnswer } from './people.js';

/** What an instance under test is known as, whatever its port. */
export const PUBLIC_URL = 'http://atrium.test';
export const RETURN_URL = 'http://app.test/signed-in';

type Claims = Readonly<Record<string, unknown>>;
/** What the token endpoint answers. */
type TokenAnswer = Record<string, unknown> & { id_token: string };

/** A real OpenID Connect provider on loopback. */
export interface IdentityProvider {
  readonly issuer: string;
  /** What is told of a person; whoever is not here has a verified address of `<login>@example.com`. */
  readonly people: Map<string, Claims>;
  /** Changes what the token endpoint answers, until called with nothing. */
  tamper(change?: (answer: TokenAnswer) => TokenAnswer): void;
  /** Signs an ID token with the provider's key. */
  sign(claims: Claims): string;
  /** Takes requests and never answers, until called off. */
  hang(): () => void;
  stop(): Promise<void>;
}

/** @param names of the providers under which Atrium knows it */
export async function startIdentityProvider(names: readonly string[] = ['corp']): Promise<IdentityProvider> {
  // The library says on the console that this is no set-up for production.
  const { info, warn } = console;
  console.info = console.warn = () => undefined;
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const people = new Map<string, Claims>();
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'atrium',
        client_secret: 'a secret of the tests',
        redirect_uris: names.map((name) => `${PUBLIC_URL}/v1/auth/oauth/${name}/callback`),
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified', 'xms_edov'], profile: ['name'] },
    cookies: { keys: ['a key of the tests'] },
    jwks: {
      keys: [{ ...(privateKey.export({ format: 'jwk' }) as JsonWebKey & { kty: 'RSA' }), kid: 'one' }],
    },
    pkce: { required: () => true },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () =>
        Promise.resolve({
          ...(people.get(id) ?? { email: `${id}@example.com`, email_verified: true, name: id }),
          sub: id,
        }),
    }),
  });
  let change: ((answer: TokenAnswer) => TokenAnswer) | undefined;
  provider.use(async (context, next) => {
    await next();
    if (context.path === '/token' && change) context.body = change(context.body as TokenAnswer);
  });
  const answer = provider.callback();
  const held: ServerResponse[] = [];
  let hanging = false;
  server.on('request', (request, response) => {
    if (hanging) held.push(response);
    else void answer(request, response);
  });
  return {
    issuer,
    people,
    tamper: (next) => void (change = next),
    sign: (claims) => jwt.sign({ ...claims }, privateKey, { algorithm: 'RS256', keyid: 'one' }),
    hang: () => {
      hanging = true;
      return () => {
        hanging = false;
        held.splice(0).forEach((response) => response.destroy());
      };
    },
    stop: () => {
      Object.assign(console, { info, warn });
      return stopServer(server);
    },
  };
}

export async function stopServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Atrium with these providers. */
export async function startWithProviders(
  providers: readonly Claims[],
  overrides: Variables = {},
): Promise<TestApp> {
  const file = join(await mkdtemp(join(tmpdir(), 'atrium-oauth-')), 'providers.json');
  await writeFile(file, JSON.stringify(providers));
  return startAtrium({
    PUBLIC_URL,
    OAUTH_PROVIDERS_FILE: file,
    OAUTH_RETURN_URLS: `${RETURN_URL},https://other.test/back?from=atrium`,
    ...overrides,
  });
}

/** Atrium's settings for {@link startIdentityProvider}. */
export const settingsFor = ({ issuer }: { issuer: string }, name = 'corp', more: Claims = {}): Claims => ({
  name,
  issuer,
  clientId: 'atrium',
  clientSecret: 'a secret of the tests',
  ...more,
});

export const newBrowser = (app: { readonly url: string }): TestBrowser =>
  new TestBrowser({ [PUBLIC_URL]: app.url });

export const startAddress = (provider: string, query: Readonly<Record<string, string>> = {}): string =>
  `${PUBLIC_URL}/v1/auth/oauth/${provider}?${new URLSearchParams(query).toString()}`;

/** Hands the code of a return address over, as the web app in this browser would. */
export const exchange = <Body = LoginAnswer>(
  app: { readonly url: string },
  browser: TestBrowser,
  code: string | null,
  more: Claims = {},
): Promise<Answer<Body>> =>
  http(app).post<Body>(
    '/v1/auth/oauth/exchange',
    { code, ...more },
    { headers: { Cookie: browser.cookieHeader(PUBLIC_URL) } },
  );

/** Signs somebody in, all the way. */
export async function signIn(
  app: { readonly url: string },
  login: string,
  { browser = newBrowser(app), provider = 'corp' } = {},
): Promise<LoginAnswer> {
  const back = await browser.walk(startAddress(provider), login, RETURN_URL);
  const answer = await exchange(app, browser, back.searchParams.get('code'));
  if (answer.status !== 200) throw new Error(`${back.href} and ${answer.status}: ${answer.text}`);
  return answer.body;
}

/** The `error` with which a sign-in comes back, or `undefined`. */
export async function refusal(
  app: { readonly url: string },
  login: string,
  provider = 'corp',
): Promise<string | null> {
  const back = await newBrowser(app).walk(startAddress(provider), login, RETURN_URL);
  return back.searchParams.get('error');
}
