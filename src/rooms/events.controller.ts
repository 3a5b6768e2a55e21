import { Controller, Get, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiConflictResponse, ApiGoneResponse, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import type { Representation } from '../common/representation.js';
import { EventList, ReadEventsQuery } from './events.dto.js';
import { RoomHistory } from './room-history.js';

@ApiTags('events')
@ApiBearerAuth()
@Authenticated()
@Controller('v1/events')
export class EventsController {
  constructor(private readonly history: RoomHistory) {}

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
}
