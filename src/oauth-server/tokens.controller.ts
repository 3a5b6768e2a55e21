import { Controller, Header, HttpCode, Post, UseFilters } from '@nestjs/common';
import { ApiBadRequestResponse, ApiBody, ApiConsumes, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { ApiUnauthorizedResponse } from '@nestjs/swagger';
import { Public } from '../common/access.js';
import { RateLimit } from '../common/rate-limit.js';
import type { OAuthRequest } from './client-authentication.js';
import { OAuthErrorFilter } from './oauth-error.js';
import { Form } from './oauth-request.js';
import { OAuthErrorBody, TokenResponse } from './tokens.dto.js';
import { TokensService } from './tokens.service.js';

@ApiTags('oauth server')
@UseFilters(OAuthErrorFilter)
@Controller('oauth')
export class TokensController {
  constructor(private readonly tokens: TokensService) {}

  /** Gives an agent an access token (RFC 6749, section 3.2). */
  @Post('token')
  @Public()
  @RateLimit('refresh')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @Header('Pragma', 'no-cache')
  @ApiConsumes('application/x-www-form-urlencoded')
  @ApiBody({
    schema: {
      type: 'object',
      required: ['grant_type'],
      properties: {
        grant_type: { type: 'string' },
        scope: { type: 'string' },
        client_id: { type: 'string' },
        client_secret: { type: 'string' },
      },
    },
  })
  @ApiOkResponse({ type: TokenResponse })
  @ApiBadRequestResponse({ type: OAuthErrorBody })
  @ApiUnauthorizedResponse({ type: OAuthErrorBody })
  issue(@Form() request: OAuthRequest): Promise<TokenResponse> {
    return this.tokens.issue(request);
  }
}
