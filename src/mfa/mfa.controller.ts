import { Body, Controller, Delete, Get, Header, HttpCode, Post } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiTags,
  refs,
} from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal, Public } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import { RateLimit } from '../common/rate-limit.js';
import { RecentProof } from '../common/recent-proof.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { SessionTransport } from '../sessions/session-transport.interceptor.js';
import { SessionResponse, SignInChallenge } from '../sessions/sessions.dto.js';
import {
  MfaStatus,
  MfaTokenRequest,
  RecoveryCodesResponse,
  StepUpRequest,
  TotpCodeRequest,
  TotpEnrolment,
  VerifyMfaRequest,
} from './mfa.dto.js';
import { MfaService } from './mfa.service.js';
import { PasskeyOptions } from './passkeys.dto.js';
import { StepUpService } from './step-up.service.js';
import { TotpService } from './totp.service.js';

@ApiTags('second factors')
@ApiExtraModels(SessionResponse, SignInChallenge)
@Controller('v1/auth/mfa')
@Authenticated()
@RateLimit('sign-in')
export class MfaController {
  constructor(
    private readonly mfa: MfaService,
    private readonly totp: TotpService,
    private readonly stepUps: StepUpService,
  ) {}

  /** What second factors the caller has. */
  @Get()
  @RateLimit('general')
  @ApiBearerAuth()
  @ApiOkResponse({ type: MfaStatus })
  status(@CurrentPrincipal() principal: Principal): Promise<MfaStatus> {
    return this.mfa.status(principal);
  }

  /** Makes the secret of an authenticator app, which counts once a code of it was confirmed. */
  @Post('totp')
  @RecentProof()
  @Header('Cache-Control', 'no-store')
  @ApiBearerAuth()
  @ApiCreatedResponse({ type: TotpEnrolment })
  enrolTotp(@CurrentPrincipal() principal: Principal, @Client() client: ClientInfo): Promise<TotpEnrolment> {
    return this.totp.enrol(principal, client);
  }

  /** Turns the authenticator app on. With the first factor come recovery codes, and the other sessions end. */
  @Post('totp/confirm')
  @RecentProof()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiBearerAuth()
  @ApiOkResponse({ type: RecoveryCodesResponse })
  confirmTotp(
    @CurrentPrincipal() principal: Principal,
    @Body() { code }: TotpCodeRequest,
    @Client() client: ClientInfo,
  ): Promise<RecoveryCodesResponse> {
    return this.totp.confirm(principal, code, client);
  }

  /** Removes the authenticator app, and ends the other sessions. */
  @Delete('totp')
  @RecentProof()
  @HttpCode(204)
  @ApiBearerAuth()
  @ApiNoContentResponse()
  removeTotp(@CurrentPrincipal() principal: Principal, @Client() client: ClientInfo): Promise<void> {
    return this.totp.remove(principal, client);
  }

  /** Makes new recovery codes in the place of the old. */
  @Post('recovery-codes')
  @RecentProof()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiBearerAuth()
  @ApiOkResponse({ type: RecoveryCodesResponse })
  replaceCodes(
    @CurrentPrincipal() principal: Principal,
    @Client() client: ClientInfo,
  ): Promise<RecoveryCodesResponse> {
    return this.mfa.replaceCodes(principal, client);
  }

  /** Completes a sign-in that was answered by a challenge. */
  @Post('verify')
  @Public()
  @SessionTransport()
  @HttpCode(200)
  @ApiOkResponse({ schema: { oneOf: refs(SessionResponse, SignInChallenge) } })
  verify(
    @Body() body: VerifyMfaRequest,
    @Client() client: ClientInfo,
  ): Promise<SessionResponse | SignInChallenge> {
    return this.mfa.verify(body, client);
  }

  /** What a browser asks a passkey for, to answer a challenge. */
  @Post('verify/options')
  @Public()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiOkResponse({ type: PasskeyOptions })
  verifyOptions(@Body() { mfaToken }: MfaTokenRequest): Promise<PasskeyOptions> {
    return this.mfa.passkeyOptions(mfaToken);
  }

  /** What a browser asks a passkey for, to prove the present session again. */
  @Post('step-up/options')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiBearerAuth()
  @ApiOkResponse({ type: PasskeyOptions })
  stepUpOptions(@CurrentPrincipal() principal: Principal): Promise<PasskeyOptions> {
    return this.stepUps.passkeyOptions(principal);
  }

  /** Proves again who is behind the present session, for what answers `step_up_required`. */
  @Post('step-up')
  @KeepsAnswer()
  @HttpCode(204)
  @ApiBearerAuth()
  @ApiNoContentResponse()
  stepUp(
    @CurrentPrincipal() principal: Principal,
    @Body() body: StepUpRequest,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.stepUps.stepUp(principal, body, client);
  }
}
