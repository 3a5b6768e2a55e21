import {
  IsEmailAddress,
  IsGivenEmail,
  IsGivenPassword,
  IsMailedToken,
  IsNewPassword,
} from './credential-rules.js';

export class MailedTokenRequest {
  /** What the link in the mail carries. */
  @IsMailedToken()
  token: string;
}

export class ForgotPasswordRequest {
  @IsGivenEmail()
  email: string;
}

export class ResetPasswordRequest {
  /** What the link in the mail carries. */
  @IsMailedToken()
  token: string;

  /** 8 to 128 characters, any, but none of the most common passwords. */
  @IsNewPassword()
  newPassword: string;
}

export class ChangeEmailRequest {
  /** The address that the account is to have. */
  @IsEmailAddress()
  email: string;

  /** The account's password, as confirmation. */
  @IsGivenPassword()
  password: string;
}
