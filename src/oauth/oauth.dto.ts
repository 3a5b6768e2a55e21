import { applyDecorators } from '@nestjs/common';
import { IsString, Matches, MaxLength, ValidateIf } from 'class-validator';
import { SessionTransportChoice } from '../sessions/sessions.dto.js';

const RETURN_TO = 'must be one of OAUTH_RETURN_URLS';
const CHALLENGE = 'must be the base64url of a SHA-256, 43 characters';
const VERIFIER = 'must be 43 to 128 letters, digits, or any of -._~';
const CODE = 'must be a code that a sign-in came back with';

/** May be left out, but not be null. */
const MayBeMissing = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);
const ReturnTo = (): PropertyDecorator =>
  applyDecorators(MayBeMissing(), IsString({ message: RETURN_TO }), MaxLength(2_000, { message: RETURN_TO }));

export class LinkRequest {
  /** Where the browser goes in the end: one of `OAUTH_RETURN_URLS`, letter by letter; the first if left out. */
  @ReturnTo()
  returnTo?: string;
}

export class StartQuery extends LinkRequest {
  /**
   * S256 of a verifier that the app keeps (as in RFC 7636): the exchange then asks for the verifier instead of
   * the browser's cookie. For apps of another site than this server's.
   */
  @MayBeMissing()
  @Matches(/^[\w-]{43}$/, { message: CHALLENGE })
  codeChallenge?: string;
}

export class ExchangeRequest extends SessionTransportChoice {
  /** From the query of the return address. */
  @IsString({ message: CODE })
  @MaxLength(200, { message: CODE })
  code: string;

  /** With a `codeChallenge` at the start, and only then. */
  @MayBeMissing()
  @Matches(/^[\w.~-]{43,128}$/, { message: VERIFIER })
  codeVerifier?: string;
}

/** A sign-in has begun. */
export class FlowStartResponse {
  /** At the provider; the browser goes there. */
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }
}

/** Where the browser goes. */
export interface Redirection {
  readonly url: string;
}
