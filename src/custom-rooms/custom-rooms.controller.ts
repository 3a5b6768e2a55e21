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
import { AnswersIfChanged, IfMatch, type VersionCondition } from '../common/conditional.js';
import { IdPipe } from '../common/identifiers.js';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import {
  CreateRoomRequest,
  ListRoomsQuery,
  RoomList,
  RoomResponse,
  UpdateRoomRequest,
} from './custom-rooms.dto.js';
import { CustomRoomsService } from './custom-rooms.service.js';

@ApiTags('rooms')
@ApiBearerAuth()
@Controller('v1/rooms')
export class CustomRoomsController {
  constructor(private readonly rooms: CustomRoomsService) {}

  /** Creates a room, of which the caller is the first moderator. */
  @Post()
  @KeepsAnswer()
  @Requires('rooms:create')
  @ApiCreatedResponse({ type: RoomResponse })
  create(
    @CurrentCaller() caller: Caller<'rooms:create'>,
    @Body() body: CreateRoomRequest,
  ): Promise<Representation<RoomResponse>> {
    return this.rooms.create(caller, body);
  }

  /** The rooms of a workspace that the caller may see, newest first. */
  @Get()
  @Requires('rooms:read')
  @OpenToAgents({ scope: 'rooms:read' })
  @ApiOkResponse({ type: RoomList })
  list(
    @CurrentCaller() caller: Caller<'rooms:read'>,
    @Query() query: ListRoomsQuery,
  ): Promise<Representation<RoomList>> {
    return this.rooms.list(caller, query);
  }

  /** One room. */
  @Get(':id')
  @Requires('rooms:read')
  @OpenToAgents({ scope: 'rooms:read' })
  @ApiOkResponse({ type: RoomResponse })
  @AnswersIfChanged()
  read(
    @CurrentCaller() caller: Caller<'rooms:read'>,
    @Param('id', IdPipe) id: string,
  ): Promise<Representation<RoomResponse>> {
    return this.rooms.read(caller, id);
  }

  /** Renames a room, by a merge patch (RFC 7396). */
  @Patch(':id')
  @Requires('rooms:moderate')
  @ApiConsumes('application/merge-patch+json', 'application/json')
  @ApiBody({ type: UpdateRoomRequest })
  @ApiOkResponse({ type: RoomResponse })
  @ApiHeader({ name: 'If-Match', required: false, description: 'The ETag that the change starts from.' })
  @ApiPreconditionFailedResponse({ description: 'The room has moved on; nothing was written.' })
  update(
    @CurrentCaller() caller: Caller<'rooms:moderate'>,
    @Param('id', IdPipe) id: string,
    @Body() patch: UpdateRoomRequest,
    @IfMatch() ifMatch: VersionCondition | undefined,
  ): Promise<Representation<RoomResponse>> {
    return this.rooms.update(caller, id, patch, ifMatch);
  }

  /** Closes a room for good. What was said in it can still be read. */
  @Delete(':id')
  @Requires('rooms:moderate')
  @HttpCode(204)
  @ApiNoContentResponse()
  @ApiHeader({ name: 'If-Match', required: false, description: 'The ETag that you mean to close.' })
  @ApiPreconditionFailedResponse({ description: 'The room has moved on; nothing was done.' })
  close(
    @CurrentCaller() caller: Caller<'rooms:moderate'>,
    @Param('id', IdPipe) id: string,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<Representation<never>> {
    return this.rooms.close(caller, id, ifMatch, client);
  }
}
