import { Controller, Get, Headers, Query, Res } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiConflictResponse,
  ApiGoneResponse,
  ApiHeader,
  ApiOkResponse,
  ApiTags,
} from '@nestjs/swagger';
import type { Response } from 'express';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { EventStreams } from './event-streams.js';
import { EventList, FollowEventsQuery, ReadEventsQuery } from './events.dto.js';
import { RoomHistory } from './room-history.js';

@ApiTags('events')
@ApiBearerAuth()
@Authenticated()
@OpenToAgents({})
@Controller('v1/events')
export class EventsController {
  constructor(
    private readonly history: RoomHistory,
    private readonly streams: EventStreams,
  ) {}

  /** The past of a room, oldest first: for those who may join it. */
  @Get()
  @ApiOkResponse({ type: EventList })
  @ApiGoneResponse({ description: 'The events after the cursor are not to be had any more.' })
  @ApiConflictResponse({ description: 'The stream is not as long as the cursor says.' })
  read(
    @CurrentPrincipal() principal: Principal,
    @Query() query: ReadEventsQuery,
  ): Promise<Representation<EventList>> {
    return this.history.read(principal, query);
  }

  /** What happens in a room, as server-sent events: `joined`, then `event` after `event`. */
  @Get('stream')
  @ApiOkResponse({
    description: 'A stream that goes on until it is ended: by `left`, by `close`, or by the client.',
    content: { 'text/event-stream': { schema: { type: 'string' } } },
  })
  @ApiHeader({ name: 'Last-Event-ID', required: false, description: 'The last cursor; instead of `after`.' })
  follow(
    @CurrentPrincipal() principal: Principal,
    @Query() query: FollowEventsQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() response: Response,
  ): Promise<void> {
    return this.streams.follow(principal, query, lastEventId, response);
  }
}
