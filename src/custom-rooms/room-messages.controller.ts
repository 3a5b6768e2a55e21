import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBearerAuth,
  ApiCreatedResponse,
  ApiOkResponse,
  ApiTags,
} from '@nestjs/swagger';
import { IdPipe } from '../common/identifiers.js';
import { PageQuery } from '../common/pagination.js';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { CloudEventResponse } from '../rooms/events.dto.js';
import { PublishRequest } from '../rooms/rooms.dto.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { RoomMessageList } from './room-messages.dto.js';
import { RoomMessagesService } from './room-messages.service.js';

@ApiTags('rooms')
@ApiBearerAuth()
@Controller('v1/rooms/:id/messages')
export class RoomMessagesController {
  constructor(private readonly messages: RoomMessagesService) {}

  /** Says something in a room: the same event as `publish` over a socket. */
  @Post()
  @KeepsAnswer()
  @Requires('rooms:publish')
  @OpenToAgents({ scope: 'rooms:publish' })
  @ApiCreatedResponse({ type: CloudEventResponse })
  @ApiAcceptedResponse({ type: CloudEventResponse, description: 'It is not durable: sent, and not kept.' })
  publish(
    @CurrentCaller() caller: Caller<'rooms:publish'>,
    @Param('id', IdPipe) id: string,
    @Body() body: PublishRequest,
  ): Promise<Representation<CloudEventResponse>> {
    return this.messages.publish(caller, id, body);
  }

  /** What was said in a room, newest first. */
  @Get()
  @Requires('rooms:read')
  @OpenToAgents({ scope: 'rooms:read' })
  @ApiOkResponse({ type: RoomMessageList })
  list(
    @CurrentCaller() caller: Caller<'rooms:read'>,
    @Param('id', IdPipe) id: string,
    @Query() query: PageQuery,
  ): Promise<Representation<RoomMessageList>> {
    return this.messages.list(caller, id, query);
  }
}
