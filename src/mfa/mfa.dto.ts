import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsObject, IsString, MaxLength, ValidateIf } from 'class-validator';
import { IsGivenPassword } from '../accounts/credential-rules.js';
import { SessionTransportChoice } from '../sessions/sessions.dto.js';

const CODE = 'must be a text of at most 100 characters';
const TOKEN = 'must be the mfaToken of a login';
const METHODS = ['totp', 'webauthn', 'recovery'] as const;

/** May be left out, but not be null. */
const MayBeMissing = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);
const IsCode = (): PropertyDecorator =>
  applyDecorators(IsString({ message: CODE }), MaxLength(100, { message: CODE }));
const IsMfaToken = (): PropertyDecorator =>
  applyDecorators(IsString({ message: TOKEN }), MaxLength(100, { message: TOKEN }));

/** What is in it is judged when it is verified. */
export const IsCredential = (): PropertyDecorator =>
  applyDecorators(
    IsObject({ message: 'must be the JSON of a credential' }),
    ApiProperty({ type: 'object', additionalProperties: true }),
  );

export class TotpCodeRequest {
  /** Six digits, as the app shows them. */
  @IsCode()
  code: string;
}

/** A second factor. */
export class FactorProofRequest extends SessionTransportChoice {
  /** Which factor it is; told by its looks if left out. */
  @MayBeMissing()
  @IsIn(METHODS, { message: `must be ${METHODS.join(', ')}` })
  method?: (typeof METHODS)[number];

  /** Of the app, or a recovery code. */
  @MayBeMissing()
  @IsCode()
  code?: string;

  /** Of a passkey: what `navigator.credentials.get()` gave, as JSON (WebAuthn, section 5.1). */
  @MayBeMissing()
  @IsCredential()
  credential?: object;
}

export class MfaTokenRequest {
  /** Of the challenge. */
  @IsMfaToken()
  mfaToken: string;
}

export class VerifyMfaRequest extends FactorProofRequest {
  /** Of the challenge. */
  @IsMfaToken()
  mfaToken: string;
}

export class StepUpRequest extends FactorProofRequest {
  /** Of an account without a second factor. */
  @MayBeMissing()
  @IsGivenPassword()
  password?: string;
}

/** A secret for an authenticator app, shown this once. */
export class TotpEnrolment {
  /** Base 32 (RFC 4648), to be typed. */
  secret: string;
  /** The same as `otpauth://totp/…`. */
  otpauthUrl: string;
  /** The same as a QR code: an SVG image, `data:image/svg+xml;base64,…`. */
  qrCode: string;
}

/** Codes that take the place of the second factor, each once; shown this once. */
export class RecoveryCodesResponse {
  /** Ten; none if the account has some already. */
  recoveryCodes: string[];
}

/** An authenticator app. */
export class TotpStatus {
  /** RFC 3339, UTC. */
  enabledAt: string;
}

/** What second factors the caller's account has. */
export class MfaStatus {
  /** Whether sign-ins ask for a second factor. */
  enabled: boolean;
  /** By which it can be shown: `totp`, `webauthn`, `recovery`. */
  methods: string[];
  /** Null without an authenticator app. */
  totp: TotpStatus | null;
  passkeys: number;
  /** Recovery codes that are left. */
  recoveryCodesLeft: number;
}
