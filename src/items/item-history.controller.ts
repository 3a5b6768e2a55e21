import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import { AnswersIfChanged } from '../common/conditional.js';
import { IdPipe } from '../common/identifiers.js';
import { PageQuery } from '../common/pagination.js';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { ItemHistoryList, VersionPipe } from './item-history.dto.js';
import { ItemHistory } from './item-history.service.js';
import { ItemResponse } from './items.dto.js';

@ApiTags('items')
@ApiBearerAuth()
@Controller('v1/items/:id/history')
export class ItemHistoryController {
  constructor(private readonly history: ItemHistory) {}

  /** Every version of an item, deleted or not: who, when and what; newest first. */
  @Get()
  @Requires('items:read')
  @OpenToAgents({ scope: 'items:read' })
  @ApiOkResponse({ type: ItemHistoryList })
  list(
    @CurrentCaller() caller: Caller<'items:read'>,
    @Param('id', IdPipe) id: string,
    @Query() query: PageQuery,
  ): Promise<Representation<ItemHistoryList>> {
    return this.history.page(caller, id, query);
  }

  /** An item as it was at one version. */
  @Get(':version')
  @Requires('items:read')
  @OpenToAgents({ scope: 'items:read' })
  @ApiParam({ name: 'version', schema: { type: 'integer', minimum: 1 } })
  @ApiOkResponse({ type: ItemResponse })
  @AnswersIfChanged()
  read(
    @CurrentCaller() caller: Caller<'items:read'>,
    @Param('id', IdPipe) id: string,
    @Param('version', VersionPipe) version: number,
  ): Promise<Representation<ItemResponse>> {
    return this.history.version(caller, id, version);
  }
}
