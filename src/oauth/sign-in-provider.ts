import type { Configuration, TokenEndpointResponse, TokenEndpointResponseHelpers } from 'openid-client';

/** What a provider answers to a good authorization code. */
export type ProviderTokens = TokenEndpointResponse & TokenEndpointResponseHelpers;

/** Who somebody is, in a provider's words. */
export interface ProviderProfile {
  /** With `subject` the key of the identity. */
  readonly issuer: string;
  readonly subject: string;
  /** What the provider calls the person's address, to be shown; nothing is decided by it. */
  readonly email: string | null;
  /** The address that the provider vouches for. */
  readonly verifiedEmail: string | null;
  readonly name: string | null;
}

/** A way of speaking to one provider. */
export interface SignInProvider {
  /** Whether it gives an ID token, with a nonce in it. */
  readonly givesIdToken: boolean;
  /** Its endpoints, asked for when they are first needed. */
  configuration(): Promise<Configuration>;
  /** Who the tokens are of. */
  profile(configuration: Configuration, tokens: ProviderTokens): Promise<ProviderProfile>;
}

/** How long a provider may take to answer one request, in seconds. */
export const PROVIDER_TIMEOUT_SECONDS = 5;

/** In characters, so that it fits an account in any script. */
const MAX_NAME = 100;

/** A name that fits an account. */
export const fittingName = (name: unknown): string | null => {
  const shown = typeof name === 'string' ? name.replaceAll(/\p{Cc}/gu, '').trim() : '';
  return shown === '' ? null : Array.from(shown).slice(0, MAX_NAME).join('');
};

/** Whether the provider's address lacks TLS; the configuration allows that on this machine only. */
export const isInsecure = (issuer: string): boolean => issuer.startsWith('http:');
