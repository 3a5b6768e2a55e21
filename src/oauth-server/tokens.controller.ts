import { applyDecorators, Controller, Header, HttpCode, Post, UseFilters } from '@nestjs/common';
import {
  ApiBadRequestResponse,
  ApiBody,
  ApiConsumes,
  ApiOkResponse,
  ApiTags,
  ApiUnauthorizedResponse,
} from '@nestjs/swagger';
import { Public } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import { RateLimit } from '../common/rate-limit.js';
import type { OAuthRequest } from './client-authentication.js';
import { DeviceCodes } from './device-codes.service.js';
import { DeviceAuthorizationResponse } from './devices.dto.js';
import { OAuthErrorFilter } from './oauth-error.js';
import { Form } from './oauth-request.js';
import { TokenInspection } from './token-inspection.js';
import { IntrospectionResponse, OAuthErrorBody, TokenResponse } from './tokens.dto.js';
import { TokensService } from './tokens.service.js';

const CLIENT = ['client_id', 'client_secret', 'client_assertion_type', 'client_assertion'];

/** An endpoint that takes a form and answers JSON, kept from caches (RFC 6749, section 5.1). */
const TakesForm = (required: readonly string[], ...more: readonly string[]): MethodDecorator =>
  applyDecorators(
    Public(),
    HttpCode(200),
    Header('Cache-Control', 'no-store'),
    Header('Pragma', 'no-cache'),
    ApiConsumes('application/x-www-form-urlencoded'),
    ApiBody({
      schema: {
        type: 'object',
        required: [...required],
        properties: Object.fromEntries(
          [...required, ...more, ...CLIENT].map((name) => [name, { type: 'string' }]),
        ),
      },
    }),
    ApiBadRequestResponse({ type: OAuthErrorBody }),
    ApiUnauthorizedResponse({ type: OAuthErrorBody }),
  );

@ApiTags('oauth server')
@UseFilters(OAuthErrorFilter)
@Controller('oauth')
export class TokensController {
  constructor(
    private readonly tokens: TokensService,
    private readonly codes: DeviceCodes,
    private readonly inspection: TokenInspection,
  ) {}

  /** Gives an agent an access token (RFC 6749, section 3.2). */
  @Post('token')
  @RateLimit('refresh')
  @TakesForm(['grant_type'], 'scope', 'refresh_token', 'device_code')
  @ApiOkResponse({ type: TokenResponse })
  issue(@Form() request: OAuthRequest, @Client() client: ClientInfo): Promise<TokenResponse> {
    return this.tokens.issue(request, client);
  }

  /** Gives a machine a code that a person approves in a browser (RFC 8628, section 3.1). */
  @Post('device_authorization')
  @RateLimit('sign-in')
  @TakesForm(['client_id'], 'scope', 'agent_name', 'agent_kind')
  @ApiOkResponse({ type: DeviceAuthorizationResponse })
  authorizeDevice(
    @Form() request: OAuthRequest,
    @Client() client: ClientInfo,
  ): Promise<DeviceAuthorizationResponse> {
    return this.codes.begin(request, client);
  }

  /** Says what a token of an agent in the caller's workspace is worth (RFC 7662). */
  @Post('introspect')
  @RateLimit('refresh')
  @TakesForm(['token'], 'token_type_hint')
  @ApiOkResponse({ type: IntrospectionResponse })
  introspect(@Form() request: OAuthRequest): Promise<IntrospectionResponse> {
    return this.inspection.introspect(request);
  }

  /** Ends a token of one's own (RFC 7009): an access token with its sockets, or a refresh token with all it gave. */
  @Post('revoke')
  @RateLimit('refresh')
  @TakesForm(['token'], 'token_type_hint')
  @ApiOkResponse({
    description: 'Empty: it is ended, or was no token.',
    content: { 'text/plain': { schema: { type: 'string' } } },
  })
  revoke(@Form() request: OAuthRequest, @Client() client: ClientInfo): Promise<void> {
    return this.inspection.revoke(request, client);
  }
}
