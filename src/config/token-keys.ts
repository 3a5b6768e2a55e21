import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { ConfigurationError } from './configuration-error.js';
import { readJsonFile } from './json-file.js';

/** One key pair for access tokens: ES256 (RFC 7518, section 3.4). */
export interface TokenKey {
  readonly kid: string;
  readonly publicKey: KeyObject;
  /** Missing of a key that only verifies any more. */
  readonly privateKey?: KeyObject;
}

const MAX_KEYS = 10;

/**
 * Reads a JWK Set (RFC 7517) of P-256 keys, each with its own `kid`. The first with a private part signs, all
 * verify: to rotate, put the new key first and drop the old one when its last tokens have expired.
 * @throws {ConfigurationError}
 */
export function readTokenKeys(file: string): readonly TokenKey[] {
  try {
    const keys = parseKeys(readJsonFile(file));
    if (!keys.some((key) => key.privateKey))
      throw new Error('it has no key with a private part to sign with');
    return keys;
  } catch (error) {
    throw new ConfigurationError([
      `TOKEN_KEYS_FILE must name a JWK Set of P-256 keys with kid (${(error as Error).message})`,
    ]);
  }
}

function parseKeys(set: unknown): TokenKey[] {
  const { keys } = set as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAX_KEYS)
    throw new Error(`it must have 1 to ${MAX_KEYS} keys`);
  const parsed = keys.map((key, index) => parseKey(key as JsonWebKey & { kid?: unknown }, index));
  if (new Set(parsed.map(({ kid }) => kid)).size < parsed.length) throw new Error('two keys share a kid');
  return parsed;
}

function parseKey(jwk: JsonWebKey & { kid?: unknown }, index: number): TokenKey {
  const { kid, kty, crv } = jwk;
  if (typeof kid !== 'string' || !/^[\w.:-]{1,100}$/.test(kid))
    throw new Error(`key ${index} has no fit kid`);
  if (kty !== 'EC' || crv !== 'P-256') throw new Error(`key ${kid} is not of kty EC and crv P-256`);
  const publicKey = createPublicKey({ key: { kty, crv, x: jwk.x, y: jwk.y }, format: 'jwk' });
  return jwk.d === undefined
    ? { kid, publicKey }
    : { kid, publicKey, privateKey: createPrivateKey({ key: jwk, format: 'jwk' }) };
}
