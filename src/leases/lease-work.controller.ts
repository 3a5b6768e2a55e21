import { Body, Controller, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiConflictResponse, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { IdPipe } from '../common/identifiers.js';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { DeadItems } from './dead-items.js';
import { LeaseTypes } from './lease-types.js';
import {
  CancelRequest,
  DeadList,
  EndedLease,
  LeaseTypeRequest,
  LeaseTypeResponse,
  ListDeadQuery,
  RetriedItems,
  RetryRequest,
} from './leases.dto.js';
import { LeasesService } from './leases.service.js';

/** For people: what agents work on. */
@ApiTags('leases')
@ApiBearerAuth()
@Controller('v1/leases')
export class LeaseWorkController {
  constructor(
    private readonly leases: LeasesService,
    private readonly dead: DeadItems,
    private readonly types: LeaseTypes,
  ) {}

  /** The items on which the work was given up, by id. */
  @Get('dead')
  @Requires('items:read')
  @OpenToAgents({ scope: 'items:read' })
  @ApiOkResponse({ type: DeadList })
  list(
    @CurrentCaller() caller: Caller<'items:read'>,
    @Query() query: ListDeadQuery,
  ): Promise<Representation<DeadList>> {
    return this.dead.page(caller, query);
  }

  /** Has dead items tried again from the beginning. */
  @Post('dead/retry')
  @KeepsAnswer()
  @Requires('items:write')
  @HttpCode(200)
  @ApiOkResponse({ type: RetriedItems })
  retry(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Body() body: RetryRequest,
  ): Promise<Representation<RetriedItems>> {
    return this.dead.retry(caller, body);
  }

  /** How many items of a type may be leased at a time, and how often each is tried. */
  @Put('types')
  @Requires('agents:manage')
  @ApiOkResponse({ type: LeaseTypeResponse })
  @ApiConflictResponse({ description: 'Agents work on too many types of items in this workspace.' })
  setType(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Body() body: LeaseTypeRequest,
  ): Promise<Representation<LeaseTypeResponse>> {
    return this.types.set(caller, body);
  }

  /** Takes a lease from its agent, which is told at once. The item is dead then, until somebody has it tried again. */
  @Post(':id/cancel')
  @KeepsAnswer()
  @Requires('items:write')
  @HttpCode(200)
  @ApiBody({ type: CancelRequest, required: false })
  @ApiOkResponse({ type: EndedLease })
  cancel(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Param('id', IdPipe) id: string,
    @Body() body: CancelRequest,
  ): Promise<Representation<EndedLease>> {
    return this.leases.cancel(caller, id, body);
  }
}
