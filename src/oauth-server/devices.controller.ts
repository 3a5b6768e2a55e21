import { Body, Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiNoContentResponse,
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiTags,
} from '@nestjs/swagger';
import { AgentResponse } from '../agents/agents.dto.js';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import type { Representation } from '../common/representation.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { ApproveDeviceRequest, DeviceResponse } from './devices.dto.js';
import { DevicesService } from './devices.service.js';

@ApiTags('agents')
@ApiBearerAuth()
@ApiNotFoundResponse({ description: 'No device waits under this code, or not any more.' })
@Controller('v1/devices/:userCode')
export class DevicesController {
  constructor(private readonly devices: DevicesService) {}

  /** What waits under a code: a machine that asks to become an agent. */
  @Get()
  @Authenticated()
  @ApiOkResponse({ type: DeviceResponse })
  read(
    @CurrentPrincipal() principal: Principal,
    @Param('userCode') userCode: string,
    @Client() client: ClientInfo,
  ): Promise<DeviceResponse> {
    return this.devices.read(principal, userCode, client);
  }

  /** Makes the machine an agent of a workspace. */
  @Post('approve')
  @KeepsAnswer()
  @Requires('agents:manage')
  @HttpCode(200)
  @ApiOkResponse({ type: AgentResponse })
  approve(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Param('userCode') userCode: string,
    @Body() body: ApproveDeviceRequest,
    @Client() client: ClientInfo,
  ): Promise<Representation<AgentResponse>> {
    return this.devices.approve(caller, userCode, body, client);
  }

  /** Says no to the machine. */
  @Post('deny')
  @KeepsAnswer()
  @Authenticated()
  @HttpCode(204)
  @ApiNoContentResponse()
  deny(
    @CurrentPrincipal() principal: Principal,
    @Param('userCode') userCode: string,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.devices.deny(principal, userCode, client);
  }
}
