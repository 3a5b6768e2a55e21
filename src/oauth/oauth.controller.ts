import {
  Body,
  Controller,
  createParamDecorator,
  type ExecutionContext,
  Get,
  Header,
  HttpCode,
  Param,
  Post,
  Query,
  Redirect,
  UseInterceptors,
} from '@nestjs/common';
import { ApiExtraModels, ApiFoundResponse, ApiOkResponse, ApiTags, refs } from '@nestjs/swagger';
import type { Request } from 'express';
import { Public } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import { RateLimit } from '../common/rate-limit.js';
import { SessionTransport } from '../sessions/session-transport.interceptor.js';
import { SessionResponse, SignInChallenge } from '../sessions/sessions.dto.js';
import { Browser, type BrowserKey, BrowserKeyInterceptor } from './browser-key.js';
import { ExchangeRequest, type FlowStartResponse, type Redirection, StartQuery } from './oauth.dto.js';
import { OAuthService } from './oauth.service.js';

/** The query as it came: providers add parameters of their own to their answers. */
const ProviderAnswer = createParamDecorator((_: unknown, context: ExecutionContext) => {
  const { originalUrl } = context.switchToHttp().getRequest<Request>();
  return new URLSearchParams(originalUrl.split('?').slice(1).join('?'));
});

@ApiTags('auth')
@ApiExtraModels(SessionResponse, SignInChallenge)
@Controller('v1/auth/oauth')
@RateLimit('sign-in')
@UseInterceptors(BrowserKeyInterceptor)
export class OAuthController {
  constructor(private readonly oauth: OAuthService) {}

  /** Sends the browser to a provider, to sign in there. */
  @Get(':provider')
  @Public()
  @Redirect()
  @Header('Cache-Control', 'no-store')
  @ApiFoundResponse({ description: 'To the provider.' })
  start(
    @Param('provider') provider: string,
    @Query() query: StartQuery,
    @Browser() key: BrowserKey,
  ): Promise<FlowStartResponse> {
    return this.oauth.start(provider, query, key);
  }

  /** Where the provider sends the browser back to; sends it on to `returnTo`, with `code`, `linked` or `error`. */
  @Get(':provider/callback')
  @Public()
  @Redirect()
  @Header('Cache-Control', 'no-store')
  @ApiFoundResponse({ description: 'To the address that was asked for at the start.' })
  finish(
    @Param('provider') provider: string,
    @ProviderAnswer() answer: URLSearchParams,
    @Browser() key: BrowserKey,
    @Client() client: ClientInfo,
  ): Promise<Redirection> {
    return this.oauth.finish(provider, answer, key, client);
  }

  /** Trades the code of the return address for a session; a second factor may be asked for. */
  @Post('exchange')
  @Public()
  @SessionTransport()
  @HttpCode(200)
  @ApiOkResponse({ schema: { oneOf: refs(SessionResponse, SignInChallenge) } })
  exchange(
    @Body() body: ExchangeRequest,
    @Browser() key: BrowserKey,
    @Client() client: ClientInfo,
  ): Promise<SessionResponse | SignInChallenge> {
    return this.oauth.exchange(body, key, client);
  }
}
