import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiTags,
} from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import { IdPipe } from '../common/identifiers.js';
import { PageQuery } from '../common/pagination.js';
import type { Representation } from '../common/representation.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import {
  AcceptInvitationRequest,
  InvitationList,
  InvitationResponse,
  InviteRequest,
} from './invitations.dto.js';
import { InvitationsService } from './invitations.service.js';
import { type Caller, CurrentCaller, Requires } from './requires.js';
import { WorkspaceResponse } from './workspaces.dto.js';

@ApiTags('workspaces')
@ApiBearerAuth()
@Controller('v1')
export class InvitationsController {
  constructor(private readonly invitations: InvitationsService) {}

  /** Invites somebody by mail. Inviting an address again replaces the invitation. */
  @Post('workspaces/:id/invitations')
  @KeepsAnswer()
  @Requires('members:manage')
  @ApiCreatedResponse({ type: InvitationResponse })
  invite(
    @CurrentCaller() caller: Caller<'members:manage'>,
    @Param('id', IdPipe) id: string,
    @Body() body: InviteRequest,
    @Client() client: ClientInfo,
  ): Promise<Representation<InvitationResponse>> {
    return this.invitations.invite(caller, id, body, client);
  }

  /** The open invitations of a workspace, oldest first. */
  @Get('workspaces/:id/invitations')
  @Requires('members:manage')
  @ApiOkResponse({ type: InvitationList })
  list(
    @CurrentCaller() caller: Caller<'members:manage'>,
    @Param('id', IdPipe) id: string,
    @Query() query: PageQuery,
  ): Promise<InvitationList> {
    return this.invitations.list(caller, id, query);
  }

  /** Withdraws an invitation. */
  @Delete('workspaces/:id/invitations/:invitationId')
  @Requires('members:manage')
  @HttpCode(204)
  @ApiNoContentResponse()
  withdraw(
    @CurrentCaller() caller: Caller<'members:manage'>,
    @Param('id', IdPipe) id: string,
    @Param('invitationId', IdPipe) invitationId: string,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.invitations.withdraw(caller, id, invitationId, client);
  }

  /** Accepts an invitation that was sent to the caller's own address, and answers with the workspace. */
  @Post('invitations/accept')
  @KeepsAnswer()
  @Authenticated()
  @HttpCode(200)
  @ApiOkResponse({ type: WorkspaceResponse })
  accept(
    @CurrentPrincipal() principal: Principal,
    @Body() { token }: AcceptInvitationRequest,
    @Client() client: ClientInfo,
  ): Promise<Representation<WorkspaceResponse>> {
    return this.invitations.accept(principal, token, client);
  }
}
