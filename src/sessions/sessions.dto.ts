import { applyDecorators } from '@nestjs/common';
import { IsIn, IsOptional, IsString, Length, MaxLength, ValidateIf } from 'class-validator';
import { UserResponse } from '../accounts/accounts.dto.js';
import {
  IsEmailAddress,
  IsGivenEmail,
  IsGivenPassword,
  IsMailedToken,
  IsNewPassword,
} from '../accounts/credential-rules.js';

/** May be left out, but not be null. */
const MayBeMissing = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);
const RefreshTokenText = (): PropertyDecorator =>
  applyDecorators(
    IsString({ message: 'must be a refresh token' }),
    MaxLength(200, { message: 'must be a refresh token' }),
  );

/** Of every request that may start a session. */
export class SessionTransportChoice {
  /**
   * How the refresh token travels: in the body, which is the default, or in a cookie that scripts cannot read,
   * for browsers.
   */
  @MayBeMissing()
  @IsIn(['body', 'cookie'], { message: 'must be body or cookie' })
  transport?: 'body' | 'cookie';
}

export class RegisterRequest extends SessionTransportChoice {
  @IsEmailAddress()
  email: string;

  /** 8 to 128 characters, any, but none of the most common passwords. */
  @IsNewPassword()
  password: string;

  /** How others see this person. */
  @IsOptional()
  @IsString({ message: 'must be a text of 1 to 200 characters' })
  @Length(1, 200, { message: 'must be a text of 1 to 200 characters' })
  name?: string | null;
}

export class ConfirmRegistrationRequest extends SessionTransportChoice {
  /** What the link in the mail carries. */
  @IsMailedToken()
  token: string;

  /** The password that was chosen at registration. */
  @IsGivenPassword()
  password: string;
}

export class LoginRequest extends SessionTransportChoice {
  @IsGivenEmail()
  email: string;

  @IsGivenPassword()
  password: string;
}

export class RefreshRequest {
  /** The newest refresh token of the session; left out by a browser that has it as a cookie. */
  @MayBeMissing()
  @RefreshTokenText()
  refreshToken?: string;
}

export class LogoutRequest {
  /** Instead of an access token, for a client whose access token has expired. */
  @MayBeMissing()
  @RefreshTokenText()
  refreshToken?: string;
}

/** A login: who it is, and the tokens that prove it. */
export class SessionResponse {
  user: UserResponse;
  /** A JWT (RFC 9068) for `Authorization: Bearer`. */
  accessToken: string;
  tokenType: 'Bearer';
  /** Life of the access token in seconds. */
  expiresIn: number;
  /** Trades once for a new pair. Not with `"transport": "cookie"`: the cookie holds it then. */
  refreshToken?: string;
  /** With the cookie only: to be sent as `X-CSRF-Token` whenever the cookie is used. */
  csrfToken?: string;
}

/** There is no account yet: a mail says how it goes on. The same for an address that has one. */
export class RegistrationPending {
  confirmationRequired: true;
}

/** The first factor was good, but is not enough. */
export class SignInChallenge {
  mfaRequired: true;
  /** Proves the first factor to the call that takes the second. */
  mfaToken: string;
  /** Which second factors this account has: `totp`, `recovery`, `webauthn`. */
  methods: string[];
  /** Life of the token in seconds. */
  expiresIn: number;
}
