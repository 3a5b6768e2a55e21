import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const PREFIX = 'ats_';

/** A new secret of an agent: 256 random bits, so that a plain hash keeps it as well as a slow one would. */
export const newClientSecret = (): string => PREFIX + randomBytes(32).toString('base64url');

/** What is kept of a secret. */
export const hashOfSecret = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/** Whether a kept hash is the secret's, in a time that tells nothing. */
export const isSecretOf = (secret: string, hash: Buffer): boolean =>
  timingSafeEqual(hashOfSecret(secret), hash);
