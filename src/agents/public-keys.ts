import { createPublicKey, type KeyObject } from 'node:crypto';
import type { JsonObject } from '../common/json.js';
import { ValidationFailed } from '../common/problem.js';

/** Members of a JWK that are nobody's but its owner's (RFC 7518, sections 6.2.2, 6.3.2 and 6.4). */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
/** P-256 and P-384, as OpenSSL calls them. */
const CURVES = ['prime256v1', 'secp384r1'];
const KINDS = 'must be a public key as a JWK: EC (P-256, P-384), OKP (Ed25519) or RSA of at least 2048 bits';
/** What assertions may be signed with: no shared secret among them. */
export const ASSERTION_ALGORITHMS = ['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256'];
const KEPT = ['kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'alg'];

/**
 * A public key as it is kept: what verifies signatures, and nothing else of what was sent.
 * @throws {ValidationFailed} if it is none, is too weak, or is a private key
 */
export function readPublicKey(jwk: JsonObject): JsonObject {
  if (PRIVATE.some((member) => Object.hasOwn(jwk, member)))
    throw refused('must be a public key; whoever has seen the private one has it: make another');
  const kept: JsonObject = Object.fromEntries(
    KEPT.flatMap((name) => (Object.hasOwn(jwk, name) ? [[name, jwk[name]]] : [])),
  );
  const { alg = null, kid = null } = kept;
  if (alg !== null && (typeof alg !== 'string' || !ASSERTION_ALGORITHMS.includes(alg)))
    throw refused(`must be for one of ${ASSERTION_ALGORITHMS.join(', ')}`);
  if (kid !== null && (typeof kid !== 'string' || kid.length > 200))
    throw refused('must have a kid of at most 200 characters, or none');
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = toKey(kept);
  const isCurve = type === 'ed25519' || CURVES.includes(details?.namedCurve ?? '');
  const isRsa = type === 'rsa' && (details?.modulusLength ?? 0) >= 2_048;
  if (!isCurve && !isRsa) throw refused(KINDS);
  return kept;
}

/** @throws {ValidationFailed} */
function toKey(jwk: JsonObject): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    throw refused(KINDS);
  }
}

const refused = (detail: string): ValidationFailed =>
  new ValidationFailed([{ pointer: '/publicKey', detail }]);
