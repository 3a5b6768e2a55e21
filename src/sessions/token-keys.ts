import { Injectable } from '@nestjs/common';
import { createSecretKey, type KeyObject } from 'node:crypto';
import { AtriumConfig } from '../config/config.js';
import { deriveKey } from './derived-key.js';

/** What signs access tokens now. */
export interface SigningKey {
  readonly algorithm: 'HS256' | 'ES256';
  readonly key: KeyObject;
  /** Only with key pairs. */
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
 * The keys of access tokens: configured pairs (ES256), or one secret (HS256) for people and a pair that is derived from it
 * for agents, whose tokens others verify (RFC 9068). A token names a pair or the secret is meant, and each key is good for
 * one algorithm: what else its header says (`jku`, `jwk`, `x5u`) is ignored (RFC 8725, sections 3.1 and 3.10).
 */
@Injectable()
export class TokenKeys {
  readonly signing: SigningKey;
  /** Of agents' tokens. */
  readonly signingForAgents: SigningKey;
  /** Those that tokens may be signed by; a key takes no other than its own. */
  readonly algorithms: SigningKey['algorithm'][];
  readonly publicKeys: readonly PublicJwk[];
  private readonly verifying: ReadonlyMap<string | undefined, KeyObject>;

  constructor({ tokens }: AtriumConfig) {
    const first = tokens.keys.find((key) => key.privateKey);
    if (first?.privateKey) {
      this.signing = { algorithm: 'ES256', key: first.privateKey, kid: first.kid };
      this.signingForAgents = this.signing;
      this.algorithms = ['ES256'];
      this.verifying = new Map(tokens.keys.map((key) => [key.kid, key.publicKey]));
      this.publicKeys = tokens.keys.map(toPublicJwk);
    } else {
      const secret = createSecretKey(Buffer.from(tokens.secret));
      this.signing = { algorithm: 'HS256', key: secret };
      const pair = deriveKey(tokens.secret);
      this.signingForAgents = { algorithm: 'ES256', key: pair.privateKey, kid: pair.kid };
      this.algorithms = ['HS256', 'ES256'];
      this.verifying = new Map([
        [undefined, secret],
        [pair.kid, pair.publicKey],
      ]);
      this.publicKeys = [toPublicJwk(pair)];
    }
  }

  /** The key that must have signed a token with this `kid`; `undefined` if there is none. */
  find(kid: string | undefined): KeyObject | undefined {
    return this.verifying.get(kid);
  }
}

const toPublicJwk = ({ kid, publicKey }: { kid: string; publicKey: KeyObject }): PublicJwk => ({
  ...(publicKey.export({ format: 'jwk' }) as Pick<PublicJwk, 'kty' | 'crv' | 'x' | 'y'>),
  kid,
  use: 'sig',
  alg: 'ES256',
});
