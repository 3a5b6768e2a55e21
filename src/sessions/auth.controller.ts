import { Body, Controller, Header, HttpCode, Post } from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiExtraModels,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiTags,
  refs,
} from '@nestjs/swagger';
import { Bearer, Public } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import {
  LoginRequest,
  LogoutRequest,
  RefreshRequest,
  RegisterRequest,
  SessionResponse,
  SignInChallenge,
} from './sessions.dto.js';
import { SessionsService } from './sessions.service.js';
import { SignInService } from './sign-in.service.js';

/** Tokens are not for caches (RFC 6749, section 5.1). */
const NoStore = (): MethodDecorator => Header('Cache-Control', 'no-store');

@ApiTags('auth')
@ApiExtraModels(SignInChallenge)
@Controller('v1/auth')
export class AuthController {
  constructor(
    private readonly signIn: SignInService,
    private readonly sessions: SessionsService,
  ) {}

  /** Creates an account with a personal workspace, and logs in. */
  @Post('register')
  @Public()
  @NoStore()
  @ApiCreatedResponse({ type: SessionResponse })
  register(@Body() body: RegisterRequest, @Client() client: ClientInfo): Promise<SessionResponse> {
    return this.signIn.register(body, client);
  }

  /** Logs in with an e-mail address and a password; a second factor may be asked for. */
  @Post('login')
  @Public()
  @NoStore()
  @HttpCode(200)
  @ApiOkResponse({ schema: { oneOf: refs(SessionResponse, SignInChallenge) } })
  login(
    @Body() body: LoginRequest,
    @Client() client: ClientInfo,
  ): Promise<SessionResponse | SignInChallenge> {
    return this.signIn.login(body, client);
  }

  /** Trades a refresh token for a new pair. A repeat within the grace gives the same refresh token again. */
  @Post('refresh')
  @Public()
  @NoStore()
  @HttpCode(200)
  @ApiOkResponse({ type: SessionResponse })
  refresh(@Body() body: RefreshRequest): Promise<SessionResponse> {
    return this.sessions.refresh(body.refreshToken);
  }

  /** Ends the session of the bearer token or, without one, of the refresh token in the body. */
  @Post('logout')
  @Public()
  @HttpCode(204)
  @ApiNoContentResponse()
  logout(@Bearer() bearer: string | undefined, @Body() body?: LogoutRequest): Promise<void> {
    return this.sessions.logout(bearer, body?.refreshToken);
  }
}
