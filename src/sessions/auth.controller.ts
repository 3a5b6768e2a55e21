import { Body, Controller, Header, Headers, HttpCode, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { Bearer, Public } from '../common/access.js';
import {
  LoginRequest,
  LogoutRequest,
  RefreshRequest,
  RegisterRequest,
  SessionResponse,
} from './sessions.dto.js';
import { SessionsService } from './sessions.service.js';

/** Tokens are not for caches (RFC 6749, section 5.1). */
const NoStore = (): MethodDecorator => Header('Cache-Control', 'no-store');

@ApiTags('auth')
@Controller('v1/auth')
export class AuthController {
  constructor(private readonly sessions: SessionsService) {}

  /** Creates an account with a personal workspace, and logs in. */
  @Post('register')
  @Public()
  @NoStore()
  @ApiCreatedResponse({ type: SessionResponse })
  register(
    @Body() body: RegisterRequest,
    @Headers('user-agent') userAgent?: string,
  ): Promise<SessionResponse> {
    return this.sessions.register(body, userAgent);
  }

  /** Logs in with an e-mail address and a password. */
  @Post('login')
  @Public()
  @NoStore()
  @HttpCode(200)
  @ApiOkResponse({ type: SessionResponse })
  login(@Body() body: LoginRequest, @Headers('user-agent') userAgent?: string): Promise<SessionResponse> {
    return this.sessions.login(body, userAgent);
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
