import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
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
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import {
  AddRoomMemberRequest,
  RoomMemberList,
  RoomMemberResponse,
  UpdateRoomMemberRequest,
} from './room-members.dto.js';
import { RoomMembersService } from './room-members.service.js';

@ApiTags('rooms')
@ApiBearerAuth()
@Controller('v1/rooms/:id/members')
export class RoomMembersController {
  constructor(private readonly members: RoomMembersService) {}

  /** Those with a role of their own in a room. */
  @Get()
  @Requires('rooms:read')
  @ApiOkResponse({ type: RoomMemberList })
  list(
    @CurrentCaller() caller: Caller<'rooms:read'>,
    @Param('id', IdPipe) id: string,
    @Query() query: PageQuery,
  ): Promise<RoomMemberList> {
    return this.members.list(caller, id, query);
  }

  /** Gives a member of the workspace a role in a room. */
  @Post()
  @KeepsAnswer()
  @Requires('rooms:moderate')
  @ApiCreatedResponse({ type: RoomMemberResponse })
  add(
    @CurrentCaller() caller: Caller<'rooms:moderate'>,
    @Param('id', IdPipe) id: string,
    @Body() body: AddRoomMemberRequest,
    @Client() client: ClientInfo,
  ): Promise<Representation<RoomMemberResponse>> {
    return this.members.add(caller, id, body, client);
  }

  /** Gives a member another role. The last moderator stays one. */
  @Patch(':principalId')
  @Requires('rooms:moderate')
  @ApiConsumes('application/merge-patch+json', 'application/json')
  @ApiBody({ type: UpdateRoomMemberRequest })
  @ApiOkResponse({ type: RoomMemberResponse })
  @ApiHeader({ name: 'If-Match', required: false, description: 'The version that the change starts from.' })
  @ApiPreconditionFailedResponse({ description: 'The member has another role by now; nothing was written.' })
  update(
    @CurrentCaller() caller: Caller<'rooms:moderate'>,
    @Param('id', IdPipe) id: string,
    @Param('principalId', IdPipe) principalId: string,
    @Body() { role }: UpdateRoomMemberRequest,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<Representation<RoomMemberResponse>> {
    return this.members.update(caller, id, principalId, role, ifMatch, client);
  }

  /** Removes a member; one's own id: leaves, in any role. The last moderator stays. */
  @Delete(':principalId')
  @Requires('rooms:moderate', { orSelf: true })
  @HttpCode(204)
  @ApiNoContentResponse()
  @ApiHeader({ name: 'If-Match', required: false, description: 'The version that you mean to remove.' })
  @ApiPreconditionFailedResponse({ description: 'The member has another role by now; nothing was done.' })
  remove(
    @CurrentCaller() caller: Caller<'rooms:moderate'>,
    @Param('id', IdPipe) id: string,
    @Param('principalId', IdPipe) principalId: string,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<Representation<never>> {
    return this.members.remove(caller, id, principalId, ifMatch, client);
  }
}
