import { ConfigurationError } from './configuration-error.js';
import { readJsonFile } from './json-file.js';

/** How to speak to a provider: OpenID Connect, with Microsoft's ways or not, or GitHub's OAuth 2.0. */
export type OAuthProviderKind = 'openid' | 'microsoft' | 'github';

/** A provider that people can sign in with. */
export interface OAuthProviderSettings {
  /** Stands in paths: `/v1/auth/oauth/{name}`. */
  readonly name: string;
  readonly kind: OAuthProviderKind;
  /** Its issuer identifier; of GitHub the address of the site. */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scopes: readonly string[];
}

interface Preset {
  readonly kind: OAuthProviderKind;
  readonly issuer?: string;
  readonly scopes: readonly string[];
}

const OPENID_SCOPES = ['openid', 'email', 'profile'];
const NO_PRESET: Preset = { kind: 'openid', scopes: OPENID_SCOPES };
const PRESETS: Readonly<Record<string, Preset>> = {
  google: { kind: 'openid', issuer: 'https://accounts.google.com', scopes: OPENID_SCOPES },
  microsoft: {
    kind: 'microsoft',
    issuer: 'https://login.microsoftonline.com/common/v2.0',
    scopes: OPENID_SCOPES,
  },
  github: { kind: 'github', issuer: 'https://github.com', scopes: ['read:user', 'user:email'] },
};
const KNOWN = new Set(['name', 'preset', 'issuer', 'clientId', 'clientSecret', 'scopes']);
const MAX_PROVIDERS = 50;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Reads a JSON list of providers, each `{name, preset?, issuer?, clientId, clientSecret, scopes?}`. What the
 * file holds is never repeated in a message, because it holds secrets.
 * @param allowLoopback whether a provider on this very machine may do without TLS, for tests and development
 * @throws {ConfigurationError}
 */
export function readOAuthProviders(file: string, allowLoopback: boolean): readonly OAuthProviderSettings[] {
  try {
    return parseProviders(readJsonFile(file), allowLoopback);
  } catch (error) {
    throw new ConfigurationError([
      `OAUTH_PROVIDERS_FILE must name a JSON list of providers (${(error as Error).message})`,
    ]);
  }
}

function parseProviders(list: unknown, allowLoopback: boolean): readonly OAuthProviderSettings[] {
  if (!Array.isArray(list) || list.length > MAX_PROVIDERS)
    throw new Error(`it must be a list of at most ${MAX_PROVIDERS}`);
  const providers = list.map((entry: unknown, index) => parseProvider(entry, index, allowLoopback));
  if (new Set(providers.map(({ name }) => name)).size < providers.length)
    throw new Error('two providers share a name');
  return providers;
}

function parseProvider(entry: unknown, index: number, allowLoopback: boolean): OAuthProviderSettings {
  if (typeof entry !== 'object' || entry === null) throw new Error(`entry ${index} is not an object`);
  const given = entry as Readonly<Record<string, unknown>>;
  const { name, preset, clientId, clientSecret } = given;
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9-]{0,31}$/.test(name))
    throw new Error(`entry ${index} needs a name of lower-case letters, digits and hyphens`);
  const unknown = Object.keys(given).find((key) => !KNOWN.has(key));
  if (unknown !== undefined) throw new Error(`${name} has no setting ${unknown}`);
  const base = presetOf(name, preset);
  if (!isText(clientId) || !isText(clientSecret)) throw new Error(`${name} needs clientId and clientSecret`);
  const issuer = given.issuer ?? base.issuer;
  if (!isText(issuer) || !isIssuer(issuer, allowLoopback))
    throw new Error(`${name} needs an issuer that is an https:// address without query and fragment`);
  const scopes = given.scopes ?? base.scopes;
  if (!isScopes(scopes)) throw new Error(`${name} needs scopes that are a list of words`);
  if (base.kind !== 'github' && !scopes.includes('openid'))
    throw new Error(`${name} needs openid among its scopes`);
  return { name, kind: base.kind, issuer, clientId, clientSecret, scopes };
}

function presetOf(name: string, preset: unknown): Preset {
  if (preset === undefined) return NO_PRESET;
  const found = typeof preset === 'string' && Object.hasOwn(PRESETS, preset) ? PRESETS[preset] : undefined;
  if (!found) throw new Error(`${name} needs a preset of ${Object.keys(PRESETS).join(', ')}, or none`);
  return found;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length > 0;

const isScopes = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every((scope) => isText(scope) && !/\s/.test(scope));

function isIssuer(issuer: string, allowLoopback: boolean): boolean {
  if (!URL.canParse(issuer)) return false;
  const { protocol, hostname, username, password, search, hash } = new URL(issuer);
  if (username || password || search || hash) return false;
  return protocol === 'https:' || (protocol === 'http:' && allowLoopback && LOOPBACK.has(hostname));
}
