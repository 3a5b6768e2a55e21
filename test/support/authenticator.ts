import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isoCBOR } from '@simplewebauthn/server/helpers';

/** What `options` of a ceremony hold, as far as an authenticator needs it. */
export interface CeremonyOptions {
  readonly challenge: string;
  readonly rp?: { readonly id: string };
  readonly rpId?: string;
  readonly user?: { readonly id: string };
  readonly allowCredentials?: readonly { readonly id: string }[];
}

/** What a test makes an authenticator, or the browser around it, do wrong. */
export interface Deviation {
  readonly origin?: string;
  readonly rpId?: string;
  readonly challenge?: string;
  readonly userVerified?: boolean;
  readonly counter?: number;
  readonly userHandle?: string;
  readonly type?: string;
  readonly key?: KeyObject;
}

const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
const ATTESTED = 0x40;

const sha256 = (bytes: string | Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** An authenticator with one passkey, in a browser that shows a page of `origin`: real keys, real signatures. */
export class SoftwareAuthenticator {
  readonly id = base64url(randomBytes(32));
  private readonly keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  private counter = 0;
  private userHandle = '';

  constructor(private readonly origin = 'http://localhost:3000') {}

  /** `navigator.credentials.create()`. */
  create(options: CeremonyOptions, deviation: Deviation = {}): object {
    this.userHandle = options.user?.id ?? '';
    const clientData = this.clientData('webauthn.create', options, deviation);
    const id = Buffer.from(this.id, 'base64url');
    const length = Buffer.alloc(2);
    length.writeUInt16BE(id.length);
    const authData = Buffer.concat([
      this.authenticatorData(deviation.rpId ?? options.rp?.id ?? '', ATTESTED, deviation),
      Buffer.alloc(16),
      length,
      id,
      this.coseKey(),
    ]);
    const attestation = new Map<string, unknown>([
      ['fmt', 'none'],
      ['attStmt', new Map()],
      ['authData', new Uint8Array(authData)],
    ]);
    return this.credential({
      clientDataJSON: base64url(clientData),
      attestationObject: base64url(isoCBOR.encode(attestation as never)),
      transports: ['internal', 'hybrid'],
    });
  }

  /** `navigator.credentials.get()`. */
  get(options: CeremonyOptions, deviation: Deviation = {}): object {
    const clientData = this.clientData('webauthn.get', options, deviation);
    const authData = this.authenticatorData(deviation.rpId ?? options.rpId ?? '', 0, deviation);
    const signed = Buffer.concat([authData, sha256(clientData)]);
    return this.credential({
      clientDataJSON: base64url(clientData),
      authenticatorData: base64url(authData),
      signature: base64url(sign('sha256', signed, deviation.key ?? this.keys.privateKey)),
      userHandle: deviation.userHandle ?? this.userHandle,
    });
  }

  private credential(response: object): object {
    const { id } = this;
    return { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response };
  }

  private clientData(type: string, options: CeremonyOptions, deviation: Deviation): Buffer {
    const { challenge = options.challenge, origin = this.origin } = deviation;
    return Buffer.from(
      JSON.stringify({ type: deviation.type ?? type, challenge, origin, crossOrigin: false }),
    );
  }

  private authenticatorData(rpId: string, more: number, { userVerified = true, counter }: Deviation): Buffer {
    this.counter = counter ?? this.counter + 1;
    const flags = USER_PRESENT | more | (userVerified ? USER_VERIFIED : 0);
    const rest = Buffer.alloc(5);
    rest.writeUInt8(flags);
    rest.writeUInt32BE(this.counter, 1);
    return Buffer.concat([sha256(rpId), rest]);
  }

  private coseKey(): Uint8Array {
    const { x = '', y = '' } = this.keys.publicKey.export({ format: 'jwk' });
    const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'));
    const key = new Map<number, unknown>([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, bytes(x)],
      [-3, bytes(y)],
    ]);
    return isoCBOR.encode(key as never);
  }
}
