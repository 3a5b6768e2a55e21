import { Injectable } from '@nestjs/common';
import { createSecretKey, type KeyObject } from 'node:crypto';
import { AtriumConfig } from '../config/config.js';

/** What signs access tokens now. */
export interface SigningKey {
  readonly algorithm: 'HS256' | 'ES256';
  readonly key: KeyObject;
  /** Only with configured key pairs. */
  readonly kid?: string;
}

/** A public key as `/.well-known/jwks.json` shows it (RFC 7517). */
export class PublicJwk {
  kty: string;
  crv: string;
  x: string;
  y: string;
  kid: string;
  use: 'sig';
  alg: 'ES256';
}

/**
 * The keys of access tokens: one secret (HS256), or configured pairs (ES256). There is one algorithm at a
 * time, and a token names a configured key or none: what else its header says (`jku`, `jwk`, `x5u`) is
 * ignored (RFC 8725, sections 3.1 and 3.10).
 */
@Injectable()
export class TokenKeys {
  readonly signing: SigningKey;
  readonly publicKeys: readonly PublicJwk[];
  private readonly verifying: ReadonlyMap<string | undefined, KeyObject>;

  constructor({ tokens }: AtriumConfig) {
    const first = tokens.keys.find((key) => key.privateKey);
    if (first?.privateKey) {
      this.signing = { algorithm: 'ES256', key: first.privateKey, kid: first.kid };
      this.verifying = new Map(tokens.keys.map((key) => [key.kid, key.publicKey]));
    } else {
      const secret = createSecretKey(Buffer.from(tokens.secret));
      this.signing = { algorithm: 'HS256', key: secret };
      this.verifying = new Map([[undefined, secret]]);
    }
    this.publicKeys = tokens.keys.map(({ kid, publicKey }) => ({
      ...(publicKey.export({ format: 'jwk' }) as Pick<PublicJwk, 'kty' | 'crv' | 'x' | 'y'>),
      kid,
      use: 'sig',
      alg: 'ES256',
    }));
  }

  /** The key that must have signed a token with this `kid`; `undefined` if there is none. */
  find(kid: string | undefined): KeyObject | undefined {
    return this.verifying.get(kid);
  }
}
