import { Body, Controller, Delete, Get, Header, HttpCode, Param, Post, Query } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiConflictResponse,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiTags,
  ApiUnauthorizedResponse,
} from '@nestjs/swagger';
import { Public } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import { IdPipe } from '../common/identifiers.js';
import { RateLimit } from '../common/rate-limit.js';
import type { Representation } from '../common/representation.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import {
  CreatedEnrolmentTokenResponse,
  CreateEnrolmentTokenRequest,
  EnrolledAgentResponse,
  EnrolmentTokenList,
  EnrolRequest,
  ListEnrolmentTokensQuery,
} from './enrolment.dto.js';
import { Enrolment } from './enrolment.service.js';

@ApiTags('agents')
@Controller('v1/agents')
export class EnrolmentController {
  constructor(private readonly enrolment: Enrolment) {}

  /** Makes a token by which machines become agents of one kind; it is shown this once. */
  @Post('enrolment-tokens')
  @KeepsAnswer()
  @Requires('agents:manage')
  @ApiBearerAuth()
  @Header('Cache-Control', 'no-store')
  @ApiCreatedResponse({ type: CreatedEnrolmentTokenResponse })
  @ApiConflictResponse({ description: 'The workspace has too many open tokens.' })
  create(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Body() body: CreateEnrolmentTokenRequest,
    @Client() client: ClientInfo,
  ): Promise<Representation<CreatedEnrolmentTokenResponse>> {
    return this.enrolment.create(caller, body, client);
  }

  /** The enrolment tokens of a workspace that are still good, newest first. */
  @Get('enrolment-tokens')
  @Requires('agents:manage')
  @ApiBearerAuth()
  @ApiOkResponse({ type: EnrolmentTokenList })
  list(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Query() query: ListEnrolmentTokensQuery,
  ): Promise<EnrolmentTokenList> {
    return this.enrolment.list(caller, query);
  }

  /** Withdraws an enrolment token; the agents that came by it stay. */
  @Delete('enrolment-tokens/:tokenId')
  @Requires('agents:manage')
  @ApiBearerAuth()
  @HttpCode(204)
  @ApiNoContentResponse()
  remove(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Param('tokenId', IdPipe) id: string,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.enrolment.remove(caller, id, client);
  }

  /** Trades an enrolment token for an agent of one's own, with a secret that is shown this once. */
  @Post('enrol')
  @Public()
  @RateLimit('sign-in')
  @Header('Cache-Control', 'no-store')
  @ApiCreatedResponse({ type: EnrolledAgentResponse })
  @ApiUnauthorizedResponse({ description: 'The token is not good, or not any more.' })
  enrol(
    @Body() body: EnrolRequest,
    @Client() client: ClientInfo,
  ): Promise<Representation<EnrolledAgentResponse>> {
    return this.enrolment.enrol(body, client);
  }
}
