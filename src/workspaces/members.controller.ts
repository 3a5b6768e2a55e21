import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Query } from '@nestjs/common';
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
import { Client, type ClientInfo } from '../common/client-info.js';
import { IfMatch, type VersionCondition } from '../common/conditional.js';
import { IdPipe } from '../common/identifiers.js';
import { PageQuery } from '../common/pagination.js';
import type { Representation } from '../common/representation.js';
import { MemberList, MemberResponse, UpdateMemberRequest } from './members.dto.js';
import { MembersService } from './members.service.js';
import { type Caller, CurrentCaller, Requires } from './requires.js';

@ApiTags('workspaces')
@ApiBearerAuth()
@Controller('v1/workspaces/:id/members')
export class MembersController {
  constructor(private readonly members: MembersService) {}

  /** The members of a workspace. */
  @Get()
  @Requires('members:read')
  @ApiOkResponse({ type: MemberList })
  list(
    @CurrentCaller() caller: Caller<'members:read'>,
    @Param('id', IdPipe) id: string,
    @Query() query: PageQuery,
  ): Promise<MemberList> {
    return this.members.list(caller, id, query);
  }

  /** Gives a member another role. What concerns owners takes an owner, and the last one stays. */
  @Patch(':principalId')
  @Requires('members:manage')
  @ApiConsumes('application/merge-patch+json', 'application/json')
  @ApiBody({ type: UpdateMemberRequest })
  @ApiOkResponse({ type: MemberResponse })
  @ApiHeader({ name: 'If-Match', required: false, description: 'The version that the change starts from.' })
  @ApiPreconditionFailedResponse({ description: 'The member has another role by now; nothing was written.' })
  update(
    @CurrentCaller() caller: Caller<'members:manage'>,
    @Param('id', IdPipe) id: string,
    @Param('principalId', IdPipe) principalId: string,
    @Body() { role }: UpdateMemberRequest,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<Representation<MemberResponse>> {
    return this.members.update(caller, id, principalId, role, ifMatch, client);
  }

  /** Removes a member; one's own id: leaves, in any role. The last owner stays. */
  @Delete(':principalId')
  @Requires('members:manage', { orSelf: true })
  @HttpCode(204)
  @ApiNoContentResponse()
  @ApiHeader({ name: 'If-Match', required: false, description: 'The version that you mean to remove.' })
  @ApiPreconditionFailedResponse({ description: 'The member has another role by now; nothing was done.' })
  remove(
    @CurrentCaller() caller: Caller<'members:manage'>,
    @Param('id', IdPipe) id: string,
    @Param('principalId', IdPipe) principalId: string,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<Representation<never>> {
    return this.members.remove(caller, id, principalId, ifMatch, client);
  }
}
