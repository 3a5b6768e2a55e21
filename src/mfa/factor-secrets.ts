import { Injectable } from '@nestjs/common';
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { AtriumConfig } from '../config/config.js';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** What was sealed. */
export interface OpenedSecret {
  readonly secret: Buffer;
  /** The same sealed under the secret of now, where it was sealed under one of before. */
  readonly sealedAnew: Buffer | undefined;
}

/**
 * Keeps secrets of authenticator apps unreadable for whoever has the database alone: AES-256-GCM, under a key
 * derived from `FACTOR_SECRET`, each bound to its account. The first of several seals, all of them open.
 */
@Injectable()
export class FactorSecrets {
  private readonly keys: readonly [Buffer, ...Buffer[]];

  constructor({ mfa }: AtriumConfig) {
    const [first, ...before] = mfa.secrets;
    this.keys = [deriveKey(first), ...before.map(deriveKey)];
  }

  /** @returns nonce, tag and ciphertext */
  seal(userId: string, secret: Uint8Array): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.keys[0], nonce).setAAD(Buffer.from(userId));
    const sealed = Buffer.concat([cipher.update(secret), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  /** @throws if it was sealed under none of the secrets or for another account, or was changed */
  open(userId: string, sealed: Buffer): OpenedSecret {
    for (const key of this.keys) {
      const secret = openWith(key, userId, sealed);
      if (secret) return { secret, sealedAnew: key === this.keys[0] ? undefined : this.seal(userId, secret) };
    }
    throw new Error(`No FACTOR_SECRET opens the authenticator secret of ${userId}`);
  }
}

const deriveKey = (secret: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', 'atrium authenticator secrets', 32));

/** @returns `undefined` if it was sealed under another key, for another account, or was changed */
function openWith(key: Buffer, userId: string, sealed: Buffer): Buffer | undefined {
  try {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(userId))
      .setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const secret = decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([secret, decipher.final()]);
  } catch {
    return undefined;
  }
}
