import { Controller, Delete, Get, HttpCode, Param, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiNoContentResponse, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import { IdPipe } from '../common/identifiers.js';
import { PageQuery } from '../common/pagination.js';
import { MySessionList } from './my-sessions.dto.js';
import { MySessionsService } from './my-sessions.service.js';
import type { SessionEnded } from './session-ended.js';
import { SessionTransport } from './session-transport.interceptor.js';

@ApiTags('me')
@ApiBearerAuth()
@Controller('v1/me/sessions')
@Authenticated()
export class MySessionsController {
  constructor(private readonly sessions: MySessionsService) {}

  /** The caller's living sessions, newest first. */
  @Get()
  @ApiOkResponse({ type: MySessionList })
  list(@CurrentPrincipal() principal: Principal, @Query() query: PageQuery): Promise<MySessionList> {
    return this.sessions.list(principal, query);
  }

  /** Ends one of the caller's sessions: its tokens and its sockets, on every instance within a second. */
  @Delete(':id')
  @SessionTransport()
  @HttpCode(204)
  @ApiNoContentResponse()
  delete(
    @CurrentPrincipal() principal: Principal,
    @Param('id', IdPipe) id: string,
    @Client() client: ClientInfo,
  ): Promise<SessionEnded> {
    return this.sessions.delete(principal, id, client);
  }
}
