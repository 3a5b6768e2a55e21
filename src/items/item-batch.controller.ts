import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { LeaseHeader } from './item-lease.js';
import { BatchRequest, BatchResponse } from './item-batch.dto.js';
import { ItemBatches } from './item-batches.js';

@ApiTags('items')
@ApiBearerAuth()
@Controller('v1/items')
@UseGuards(LeaseHeader)
export class ItemBatchController {
  constructor(private readonly batches: ItemBatches) {}

  /** Creates, changes and deletes up to 1,000 items: all of it, or nothing. */
  @Post('batch')
  @KeepsAnswer()
  @Requires('items:write')
  @OpenToAgents({ scope: 'items:write' })
  @HttpCode(200)
  @ApiOkResponse({ type: BatchResponse })
  run(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Body() body: BatchRequest,
  ): Promise<Representation<BatchResponse>> {
    return this.batches.run(caller, body);
  }
}
