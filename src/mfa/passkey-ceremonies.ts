import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import type { TokenPurpose } from '../accounts/one-time-tokens.js';

/** What a challenge was made for; the session, or the challenge of a sign-in, that may use it. */
export interface Ceremony {
  readonly boundTo: string;
}

/**
 * Challenges are one-time tokens: 256 random bits, kept as a hash, each good once, for five minutes, and for one of
 * these alone.
 */
export const REGISTRATION: TokenPurpose<Ceremony> = { name: 'passkey-registration', ttlSeconds: 300 };
export const SIGN_IN: TokenPurpose<Ceremony> = { name: 'passkey-sign-in', ttlSeconds: 300 };
export const SECOND: TokenPurpose<Ceremony> = { name: 'passkey-second', ttlSeconds: 300 };

/** How long a browser waits for the authenticator, in ms. */
export const PATIENCE_MS = 300_000;

type CredentialJson = AuthenticationResponseJSON | RegistrationResponseJSON;

/** Loaded when it is first needed: it brings parsers for every kind of certificate. */
export const webauthn = () => import('@simplewebauthn/server');

/** The bytes that an authenticator keeps for an account: its id, which says nothing of the person. */
export const handleOf = (userId: string): Buffer => Buffer.from(userId.replaceAll('-', ''), 'hex');

/** A token as the library takes challenges. */
export const challengeOf = (token: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.from(token, 'base64url'));

/** The challenge that a credential says it answers; `undefined` if it has none. */
export function challengeIn(credential: unknown): string | undefined {
  try {
    const { response } = credential as CredentialJson;
    const said: unknown = JSON.parse(Buffer.from(response.clientDataJSON, 'base64url').toString());
    const challenge = (said as { challenge?: unknown } | null)?.challenge;
    return typeof challenge === 'string' && challenge.length <= 100 ? challenge : undefined;
  } catch {
    return undefined;
  }
}
