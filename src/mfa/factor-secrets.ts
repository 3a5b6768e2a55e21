import { Injectable } from '@nestjs/common';
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { AtriumConfig } from '../config/config.js';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Keeps secrets of authenticator apps unreadable for whoever has the database alone: AES-256-GCM, under a key
 * derived from `FACTOR_SECRET`, each bound to its account.
 */
@Injectable()
export class FactorSecrets {
  private readonly key: Buffer;

  constructor({ mfa }: AtriumConfig) {
    this.key = Buffer.from(hkdfSync('sha256', mfa.secret, '', 'atrium authenticator secrets', 32));
  }

  /** @returns nonce, tag and ciphertext */
  seal(userId: string, secret: Uint8Array): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce).setAAD(Buffer.from(userId));
    const sealed = Buffer.concat([cipher.update(secret), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  /** @throws if it was sealed under another secret or for another account, or was changed */
  open(userId: string, sealed: Buffer): Buffer {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', this.key, nonce, { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(userId))
      .setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const secret = decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([secret, decipher.final()]);
  }
}
