import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';

/** A key pair (ES256) that whoever has the secret comes to by themselves. */
export interface DerivedKey {
  /** The thumbprint (RFC 7638). */
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const INFO = 'atrium access tokens of agents, ES256';
/** The order of P-256 (FIPS 186-5). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
/** 128 bits more than the order has, so that the remainder favours no key. */
const BYTES = 48;

/** The same pair for the same secret, at every instance and after every start; the secret cannot be found from it. */
export function deriveKey(secret: string): DerivedKey {
  const seed = BigInt(`0x${Buffer.from(hkdfSync('sha256', secret, '', INFO, BYTES)).toString('hex')}`);
  const scalar = Buffer.from(((seed % (ORDER - 1n)) + 1n).toString(16).padStart(64, '0'), 'hex');
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(scalar);
  const point = curve.getPublicKey();
  const [x, y, d] = [point.subarray(1, 33), point.subarray(33), scalar].map((part) =>
    part.toString('base64url'),
  );
  const jwk = { kty: 'EC', crv: 'P-256', x, y };
  const canonical = JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x, y });
  return {
    kid: createHash('sha256').update(canonical).digest('base64url'),
    privateKey: createPrivateKey({ key: { ...jwk, d }, format: 'jwk' }),
    publicKey: createPublicKey({ key: jwk, format: 'jwk' }),
  };
}
