import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, UseGuards } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConflictResponse,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiPreconditionFailedResponse,
  ApiResponse,
  ApiTags,
} from '@nestjs/swagger';
import { Client, type ClientInfo } from '../common/client-info.js';
import { IfMatch, type VersionCondition } from '../common/conditional.js';
import { IdPipe } from '../common/identifiers.js';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { LeaseHeader } from './item-lease.js';
import { ListTrashQuery, RestoreItemRequest, TrashList } from './item-trash.dto.js';
import { ItemPurge } from './item-purge.js';
import { ItemTrash } from './item-trash.service.js';
import { ItemResponse } from './items.dto.js';

@ApiTags('items')
@ApiBearerAuth()
@Controller('v1/items')
@UseGuards(LeaseHeader)
export class ItemTrashController {
  constructor(
    private readonly trash: ItemTrash,
    private readonly purges: ItemPurge,
  ) {}

  /** The deleted items of a workspace, newest deletion first. */
  @Get('trash')
  @Requires('items:read')
  @OpenToAgents({ scope: 'items:read' })
  @ApiOkResponse({ type: TrashList })
  list(
    @CurrentCaller() caller: Caller<'items:read'>,
    @Query() query: ListTrashQuery,
  ): Promise<Representation<TrashList>> {
    return this.trash.page(caller, query);
  }

  /** Removes an item from the trash, for good, with its history. */
  @Delete('trash/:id')
  @Requires('items:purge')
  @HttpCode(204)
  @ApiNoContentResponse()
  @ApiHeader({ name: 'If-Match', required: false, description: 'The version of the deletion.' })
  @ApiResponse({ status: 428, description: 'The workspace demands If-Match; nothing was removed.' })
  @ApiPreconditionFailedResponse({ description: 'It is another version; nothing was removed.' })
  purge(
    @CurrentCaller() caller: Caller<'items:purge'>,
    @Param('id', IdPipe) id: string,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<Representation<never>> {
    return this.purges.purge(caller, id, ifMatch, client);
  }

  /** Brings an item back from the trash, or an older version of it, as a new version. */
  @Post(':id/restore')
  @KeepsAnswer()
  @Requires('items:write')
  @OpenToAgents({ scope: 'items:write' })
  @HttpCode(200)
  @ApiBody({ type: RestoreItemRequest, required: false })
  @ApiOkResponse({ type: ItemResponse })
  @ApiHeader({
    name: 'If-Match',
    required: false,
    description: 'The version that the item has now, in the trash that of its deletion.',
  })
  @ApiResponse({ status: 428, description: 'The workspace demands If-Match; nothing was written.' })
  @ApiPreconditionFailedResponse({ description: 'The item has moved on; nothing was written.' })
  @ApiConflictResponse({ description: 'The item is not in the trash, and no version was named.' })
  restore(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Param('id', IdPipe) id: string,
    @Body() body: RestoreItemRequest,
    @IfMatch() ifMatch: VersionCondition | undefined,
  ): Promise<Representation<ItemResponse>> {
    return this.trash.restore(caller, id, body, ifMatch);
  }
}
