import {
  Body,
  Controller,
  Delete,
  Get,
  Header,
  HttpCode,
  Param,
  Post,
  Query,
  UseInterceptors,
} from '@nestjs/common';
import { ApiBearerAuth, ApiNoContentResponse, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import { IdPipe } from '../common/identifiers.js';
import { PageQuery } from '../common/pagination.js';
import { RateLimit } from '../common/rate-limit.js';
import { RecentProof } from '../common/recent-proof.js';
import { Browser, type BrowserKey, BrowserKeyInterceptor } from './browser-key.js';
import { IdentityList } from './identities.dto.js';
import { IdentitiesService } from './identities.service.js';
import { FlowStartResponse, LinkRequest } from './oauth.dto.js';
import { OAuthService } from './oauth.service.js';

@ApiTags('me')
@ApiBearerAuth()
@Controller('v1/me/identities')
@Authenticated()
export class IdentitiesController {
  constructor(
    private readonly identities: IdentitiesService,
    private readonly oauth: OAuthService,
  ) {}

  /** Who the caller is at which providers, oldest first. */
  @Get()
  @ApiOkResponse({ type: IdentityList })
  list(@CurrentPrincipal() principal: Principal, @Query() query: PageQuery): Promise<IdentityList> {
    return this.identities.list(principal, query);
  }

  /**
   * Starts the linking of an identity: the browser, which must take the cookie of this answer, goes to `url`, and
   * comes back to `returnTo` with `linked` or `error`.
   */
  @Post(':provider')
  @RecentProof()
  @RateLimit('sign-in')
  @UseInterceptors(BrowserKeyInterceptor)
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiOkResponse({ type: FlowStartResponse })
  link(
    @CurrentPrincipal() principal: Principal,
    @Param('provider') provider: string,
    @Body() body: LinkRequest,
    @Browser() key: BrowserKey,
  ): Promise<FlowStartResponse> {
    return this.oauth.start(provider, body, key, principal);
  }

  /** Takes an identity from the account; never the last way to sign in. */
  @Delete(':id')
  @RecentProof()
  @HttpCode(204)
  @ApiNoContentResponse()
  unlink(
    @CurrentPrincipal() principal: Principal,
    @Param('id', IdPipe) id: string,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.identities.unlink(principal, id, client);
  }
}
