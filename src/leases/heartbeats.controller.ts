import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import { OpenToAgents } from '../common/scopes.js';
import { MayRunAgain } from '../idempotency/keeps-answer.js';
import { HeartbeatRequest, HeartbeatResponse } from './heartbeats.dto.js';
import { Heartbeats } from './heartbeats.js';

@ApiTags('agents')
@ApiBearerAuth()
@Authenticated()
@Controller('v1/agents')
export class HeartbeatsController {
  constructor(private readonly heartbeats: Heartbeats) {}

  /** The agent itself says that it is there: keeps its leases, and learns what it lost and when to come again. */
  @Post(':id/heartbeat')
  @MayRunAgain()
  @OpenToAgents({ self: true })
  @HttpCode(200)
  @ApiParam({ name: 'id', description: 'UUID of the agent that calls.' })
  @ApiBody({ type: HeartbeatRequest, required: false })
  @ApiOkResponse({ type: HeartbeatResponse })
  beat(@CurrentPrincipal() caller: Principal, @Body() body: HeartbeatRequest): Promise<HeartbeatResponse> {
    return this.heartbeats.beat(caller, body);
  }
}
