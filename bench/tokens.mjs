// Access tokens as Atrium makes them, and the check that a hand-written server would make on every request.
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import jwt from 'jsonwebtoken';

export const ISSUER = 'atrium';
export const AUDIENCE = 'atrium';
const TYPE = 'at+jwt';
const LIFE_SECONDS = 3_600;

/** One token per user, as long as any run lasts. */
export function sign(secret, userId, sessionId) {
  const issuedAt = Math.floor(Date.now() / 1_000);
  return jwt.sign({ sid: sessionId, iat: issuedAt, exp: issuedAt + LIFE_SECONDS }, secret, {
    algorithm: 'HS256',
    header: { alg: 'HS256', typ: TYPE },
    subject: userId,
    issuer: ISSUER,
    audience: AUDIENCE,
  });
}

const TAG_BYTES = 12;

/** A cursor of a workspace's plain list as Atrium signs it, to go on after an item; its key is derived once. */
export function cursors(secret) {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'atrium list cursors', 32));
  return (workspaceId, itemId) => {
    const payload = Buffer.from(JSON.stringify([0, itemId]));
    const tag = createHmac('sha256', key).update(`${workspaceId} \n`).update(payload).digest();
    return Buffer.concat([tag.subarray(0, TAG_BYTES), payload]).toString('base64url');
  };
}

/** The item that such a cursor names; a server without filters and orders has no need to verify it. */
export const itemInCursor = (cursor) =>
  JSON.parse(Buffer.from(cursor, 'base64url').subarray(TAG_BYTES).toString())[1];

const decode = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());

/** The claims of an `Authorization` header, or null. Everything that Atrium's verification demands, nothing kept. */
export function verify(secret, authorization) {
  if (!authorization?.startsWith('Bearer ')) return null;
  const token = authorization.slice(7);
  const first = token.indexOf('.');
  const last = token.lastIndexOf('.');
  if (first < 0 || first === last) return null;
  const { alg, typ } = decode(token.slice(0, first));
  if (alg !== 'HS256' || typ !== TYPE) return null;
  const given = Buffer.from(token.slice(last + 1), 'base64url');
  const made = createHmac('sha256', secret).update(token.slice(0, last)).digest();
  if (given.length !== made.length || !timingSafeEqual(given, made)) return null;
  const claims = decode(token.slice(first + 1, last));
  const fits = claims.iss === ISSUER && claims.aud === AUDIENCE && typeof claims.sid === 'string';
  return fits && claims.exp * 1_000 > Date.now() ? claims : null;
}
