import { Body, Controller, Delete, Get, HttpCode, Patch } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConsumes,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiPreconditionFailedResponse,
  ApiTags,
} from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import { AnswersIfChanged, IfMatch, type VersionCondition } from '../common/conditional.js';
import { RecentProof } from '../common/recent-proof.js';
import type { Representation } from '../common/representation.js';
import { UserResponse } from './accounts.dto.js';
import { AccountsService } from './accounts.service.js';
import { DeleteMeRequest, UpdateMeRequest } from './me.dto.js';
import { MeService } from './me.service.js';

@ApiTags('me')
@ApiBearerAuth()
@Controller('v1/me')
@Authenticated()
export class MeController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly mine: MeService,
  ) {}

  /** The caller's own account. */
  @Get()
  @ApiOkResponse({ type: UserResponse })
  @AnswersIfChanged()
  read(@CurrentPrincipal() principal: Principal): Promise<Representation<UserResponse>> {
    return this.accounts.me(principal);
  }

  /** Changes the caller's name by a merge patch (RFC 7396). */
  @Patch()
  @ApiConsumes('application/merge-patch+json', 'application/json')
  @ApiBody({ type: UpdateMeRequest })
  @ApiOkResponse({ type: UserResponse })
  @ApiHeader({ name: 'If-Match', required: false, description: 'The ETag that the change starts from.' })
  @ApiPreconditionFailedResponse({ description: 'The account has moved on; nothing was written.' })
  update(
    @CurrentPrincipal() principal: Principal,
    @Body() patch: UpdateMeRequest,
    @IfMatch() ifMatch: VersionCondition | undefined,
  ): Promise<Representation<UserResponse>> {
    return this.mine.update(principal, patch, ifMatch);
  }

  /**
   * Deletes the caller's account, its sessions and its personal workspace with everything in it. Refused while
   * the caller is the only owner of another workspace.
   */
  @Delete()
  @RecentProof({ bringsPassword: true })
  @HttpCode(204)
  @ApiNoContentResponse()
  delete(
    @CurrentPrincipal() principal: Principal,
    @Body() body: DeleteMeRequest,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.mine.delete(principal, body, client);
  }
}
