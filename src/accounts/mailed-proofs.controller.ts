import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiBearerAuth, ApiNoContentResponse, ApiTags } from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal, Public } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import { RateLimit } from '../common/rate-limit.js';
import { RecentProof } from '../common/recent-proof.js';
import { MayRunAgain } from '../idempotency/keeps-answer.js';
import { EmailChange } from './email-change.js';
import { EmailVerification } from './email-verification.js';
import {
  ChangeEmailRequest,
  ForgotPasswordRequest,
  MailedTokenRequest,
  ResetPasswordRequest,
} from './mailed-proofs.dto.js';
import { PasswordReset } from './password-reset.js';

/** What is proven by a link in a mail. */
@ApiTags('auth')
@Controller('v1')
@RateLimit('sign-in')
export class MailedProofsController {
  constructor(
    private readonly verification: EmailVerification,
    private readonly passwordReset: PasswordReset,
    private readonly emailChange: EmailChange,
  ) {}

  /** Proves the address of an account. */
  @Post('auth/verify-email')
  @Public()
  @HttpCode(204)
  @ApiNoContentResponse()
  verifyEmail(@Body() { token }: MailedTokenRequest, @Client() client: ClientInfo): Promise<void> {
    return this.verification.verify(token, client);
  }

  /** Sends the mail that proves the address again, unless it is proven. */
  @Post('auth/resend-verification')
  @MayRunAgain()
  @Authenticated()
  @ApiBearerAuth()
  @HttpCode(202)
  @ApiAcceptedResponse()
  resendVerification(@CurrentPrincipal() principal: Principal): Promise<void> {
    return this.verification.resend(principal);
  }

  /** Sends a link for a new password, if there is such an account; the answer is the same if there is not. */
  @Post('auth/forgot-password')
  @Public()
  @HttpCode(202)
  @ApiAcceptedResponse()
  forgotPassword(@Body() { email }: ForgotPasswordRequest, @Client() client: ClientInfo): Promise<void> {
    return this.passwordReset.request(email, client);
  }

  /** Sets a new password and ends every session. */
  @Post('auth/reset-password')
  @Public()
  @HttpCode(204)
  @ApiNoContentResponse()
  resetPassword(
    @Body() { token, newPassword }: ResetPasswordRequest,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.passwordReset.reset(token, newPassword, client);
  }

  /** Asks for another address: it becomes the account's once it is confirmed. Both addresses are told. */
  @Post('me/email')
  @MayRunAgain()
  @Authenticated()
  @RecentProof({ bringsPassword: true })
  @ApiBearerAuth()
  @HttpCode(202)
  @ApiAcceptedResponse()
  changeEmail(
    @CurrentPrincipal() principal: Principal,
    @Body() { email, password }: ChangeEmailRequest,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.emailChange.request(principal, email, password, client);
  }

  /** Confirms the address that was asked for. */
  @Post('auth/confirm-email')
  @Public()
  @HttpCode(204)
  @ApiNoContentResponse()
  confirmEmail(@Body() { token }: MailedTokenRequest, @Client() client: ClientInfo): Promise<void> {
    return this.emailChange.confirm(token, client);
  }
}
