import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBearerAuth,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiTags,
  refs,
} from '@nestjs/swagger';
import { ChangePasswordRequest } from '../accounts/me.dto.js';
import { OwnPassword } from '../accounts/own-password.js';
import { Authenticated, Bearer, CurrentPrincipal, type Principal, Public } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import type { Representation } from '../common/representation.js';
import { RateLimit } from '../common/rate-limit.js';
import { RecentProof } from '../common/recent-proof.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { MySessionsService } from './my-sessions.service.js';
import { RefreshCookie, SessionCookieGuard } from './session-cookie.guard.js';
import type { SessionEnded } from './session-ended.js';
import { SessionTransport } from './session-transport.interceptor.js';
import {
  ConfirmRegistrationRequest,
  LoginRequest,
  LogoutRequest,
  RefreshRequest,
  RegisterRequest,
  RegistrationPending,
  SessionResponse,
  SignInChallenge,
} from './sessions.dto.js';
import { SessionsService } from './sessions.service.js';
import { SignInService } from './sign-in.service.js';

const CsrfHeader = (): MethodDecorator =>
  ApiHeader({ name: 'X-CSRF-Token', required: false, description: 'The csrfToken, with the cookie.' });

@ApiTags('auth')
@ApiExtraModels(SignInChallenge)
@Controller('v1/auth')
export class AuthController {
  constructor(
    private readonly signIn: SignInService,
    private readonly sessions: SessionsService,
    private readonly mine: MySessionsService,
    private readonly ownPassword: OwnPassword,
  ) {}

  /**
   * Creates an account with a personal workspace, and logs in. Where registrations are confirmed by mail it
   * answers 202, whether the address has an account or not.
   */
  @Post('register')
  @Public()
  @RateLimit('sign-in')
  @SessionTransport()
  @ApiCreatedResponse({ type: SessionResponse })
  @ApiAcceptedResponse({ type: RegistrationPending })
  register(
    @Body() body: RegisterRequest,
    @Client() client: ClientInfo,
  ): Promise<SessionResponse | Representation<RegistrationPending>> {
    return this.signIn.register(body, client);
  }

  /** Creates the account of a registration that was answered 202, and logs in. */
  @Post('confirm-registration')
  @Public()
  @RateLimit('sign-in')
  @SessionTransport()
  @ApiCreatedResponse({ type: SessionResponse })
  confirmRegistration(
    @Body() body: ConfirmRegistrationRequest,
    @Client() client: ClientInfo,
  ): Promise<SessionResponse> {
    return this.signIn.confirmRegistration(body, client);
  }

  /** Logs in with an e-mail address and a password; a second factor may be asked for. */
  @Post('login')
  @Public()
  @RateLimit('sign-in')
  @SessionTransport()
  @HttpCode(200)
  @ApiOkResponse({ schema: { oneOf: refs(SessionResponse, SignInChallenge) } })
  login(
    @Body() body: LoginRequest,
    @Client() client: ClientInfo,
  ): Promise<SessionResponse | SignInChallenge> {
    return this.signIn.login(body, client);
  }

  /**
   * Trades a refresh token, of the body or the cookie, for a new pair. A repeat within the grace gives the same
   * refresh token again.
   */
  @Post('refresh')
  @Public()
  @RateLimit('refresh')
  @UseGuards(SessionCookieGuard)
  @SessionTransport()
  @HttpCode(200)
  @CsrfHeader()
  @ApiOkResponse({ type: SessionResponse })
  refresh(
    @Body() body: RefreshRequest,
    @RefreshCookie() cookie: string | undefined,
    @Client() client: ClientInfo,
  ): Promise<SessionResponse> {
    return this.sessions.refresh(body.refreshToken, cookie, client);
  }

  /** Ends the session of the bearer token or, without one, of the refresh token in the body or the cookie. */
  @Post('logout')
  @Public()
  @UseGuards(SessionCookieGuard)
  @SessionTransport()
  @HttpCode(204)
  @CsrfHeader()
  @ApiNoContentResponse()
  logout(
    @Bearer() bearer: string | undefined,
    @Body() body: LogoutRequest,
    @RefreshCookie() cookie: string | undefined,
    @Client() client: ClientInfo,
  ): Promise<SessionEnded> {
    return this.mine.logout(bearer, body.refreshToken ?? cookie, client);
  }

  /** Ends all of the caller's sessions, this one, too. */
  @Post('logout-all')
  @Authenticated()
  @SessionTransport()
  @HttpCode(204)
  @ApiBearerAuth()
  @ApiNoContentResponse()
  logoutAll(@CurrentPrincipal() principal: Principal, @Client() client: ClientInfo): Promise<SessionEnded> {
    return this.mine.logoutAll(principal, client);
  }

  /** Changes the password and, unless told otherwise, ends every session but this one. */
  @Post('change-password')
  @KeepsAnswer()
  @Authenticated()
  @RecentProof({ bringsPassword: true })
  @RateLimit('sign-in')
  @HttpCode(204)
  @ApiBearerAuth()
  @ApiNoContentResponse()
  changePassword(
    @CurrentPrincipal() principal: Principal,
    @Body() body: ChangePasswordRequest,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.ownPassword.change(principal, body, client);
  }
}
