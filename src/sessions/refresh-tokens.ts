import { Injectable } from '@nestjs/common';
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { AtriumConfig } from '../config/config.js';

/** What a refresh token says: which session, and the how-manieth of its family it is. */
export interface RefreshTokenClaim {
  readonly sessionId: string;
  readonly generation: number;
  readonly proof: Buffer;
}

const PREFIX = 'atr_';
const ID_BYTES = 16;
const HEADER_BYTES = ID_BYTES + 4;
const PROOF_BYTES = 32;

/**
 * Refresh tokens are derived, not stored: token `n` of a session is an HMAC over the session's random seed
 * and `n`. So the successor of a token can be given again to whoever lost the first answer, and neither a
 * leaked database nor a leaked secret alone yields a token.
 */
@Injectable()
export class RefreshTokens {
  private readonly key: Buffer;

  constructor(config: AtriumConfig) {
    this.key = Buffer.from(hkdfSync('sha256', config.tokens.secret, '', 'atrium refresh tokens', 32));
  }

  /** @returns token number `generation` of the session */
  derive(session: { id: string; seed: Buffer }, generation: number): string {
    const header = headerOf(session.id, generation);
    return PREFIX + Buffer.concat([header, this.proof(session.seed, header)]).toString('base64url');
  }

  /** Takes a token apart, without trusting it yet; `undefined` if it is not one. */
  read(token: string): RefreshTokenClaim | undefined {
    if (!token.startsWith(PREFIX)) return undefined;
    const bytes = Buffer.from(token.slice(PREFIX.length), 'base64url');
    if (bytes.length !== HEADER_BYTES + PROOF_BYTES) return undefined;
    const hex = bytes.toString('hex', 0, ID_BYTES);
    return {
      sessionId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
      generation: bytes.readUInt32BE(ID_BYTES),
      proof: bytes.subarray(HEADER_BYTES),
    };
  }

  /** Whether the claim was derived from this session's seed. */
  isGenuine(session: { id: string; seed: Buffer }, claim: RefreshTokenClaim): boolean {
    return timingSafeEqual(this.proof(session.seed, headerOf(session.id, claim.generation)), claim.proof);
  }

  private proof(seed: Buffer, header: Buffer): Buffer {
    return createHmac('sha256', this.key).update(seed).update(header).digest();
  }
}

function headerOf(sessionId: string, generation: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(sessionId.replaceAll('-', ''), 'hex');
  header.writeUInt32BE(generation, ID_BYTES);
  return header;
}
