import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, UseGuards } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConsumes,
  ApiConflictResponse,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiPreconditionFailedResponse,
  ApiResponse,
  ApiTags,
  ApiUnprocessableEntityResponse,
  getSchemaPath,
} from '@nestjs/swagger';
import { AnswersIfChanged, IfMatch, type VersionCondition } from '../common/conditional.js';
import { JsonPatchStep } from '../common/json-patch-step.dto.js';
import { MAX_OPERATIONS } from '../common/json-patch.js';
import { IdPipe } from '../common/identifiers.js';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { ApiItemListQuery } from './item-list.api.js';
import { ItemList } from './item-list.dto.js';
import { ItemListParameters, type ItemListQuery } from './item-list.query.js';
import { ItemLists } from './item-lists.service.js';
import { Lease, LeaseHeader, TakesLease } from './item-lease.js';
import { type ItemPatch, ItemPatches, ItemPatchPipe } from './item-patches.js';
import { CreateItemRequest, ItemResponse, UpdateItemRequest } from './items.dto.js';
import { ItemsService } from './items.service.js';

@ApiTags('items')
@ApiBearerAuth()
@Controller('v1/items')
@UseGuards(LeaseHeader)
export class ItemsController {
  constructor(
    private readonly items: ItemsService,
    private readonly patches: ItemPatches,
    private readonly lists: ItemLists,
  ) {}

  /** Creates an item. */
  @Post()
  @KeepsAnswer()
  @Requires('items:write')
  @OpenToAgents({ scope: 'items:write' })
  @ApiCreatedResponse({ type: ItemResponse })
  create(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Body() body: CreateItemRequest,
  ): Promise<Representation<ItemResponse>> {
    return this.items.create(caller, body);
  }

  /** The items of a workspace: filtered, in any order, searched, page by page; newest first when nothing is said. */
  @Get()
  @Requires('items:read')
  @OpenToAgents({ scope: 'items:read' })
  @ApiItemListQuery()
  @ApiOkResponse({ type: ItemList })
  list(
    @CurrentCaller() caller: Caller<'items:read'>,
    @ItemListParameters() query: ItemListQuery,
  ): Promise<Representation<ItemList>> {
    return this.lists.page(caller, query);
  }

  /** One item. */
  @Get(':id')
  @Requires('items:read')
  @OpenToAgents({ scope: 'items:read' })
  @ApiOkResponse({ type: ItemResponse })
  @AnswersIfChanged()
  read(
    @CurrentCaller() caller: Caller<'items:read'>,
    @Param('id', IdPipe) id: string,
  ): Promise<Representation<ItemResponse>> {
    return this.items.read(caller, id);
  }

  /**
   * Changes an item by a merge patch (RFC 7396), where null removes a member of `data`, or by a JSON Patch
   * (RFC 6902) of `{title, type, data}`, of which all operations are done or none.
   */
  @Patch(':id')
  @Requires('items:write')
  @OpenToAgents({ scope: 'items:write' })
  @ApiConsumes('application/merge-patch+json', 'application/json', 'application/json-patch+json')
  @ApiExtraModels(UpdateItemRequest, JsonPatchStep)
  @ApiBody({
    schema: {
      oneOf: [
        { $ref: getSchemaPath(UpdateItemRequest) },
        { type: 'array', maxItems: MAX_OPERATIONS, items: { $ref: getSchemaPath(JsonPatchStep) } },
      ],
    },
  })
  @ApiOkResponse({ type: ItemResponse })
  @ApiHeader({ name: 'If-Match', required: false, description: 'The ETag that the change starts from.' })
  @ApiResponse({ status: 428, description: 'The workspace demands If-Match; nothing was written.' })
  @ApiPreconditionFailedResponse({ description: 'The item has moved on; nothing was written.' })
  @TakesLease()
  @ApiConflictResponse({
    description: 'A test of the JSON Patch failed, or the lease was lost; nothing was written.',
  })
  @ApiUnprocessableEntityResponse({
    description: 'The JSON Patch does not fit the item; nothing was written.',
  })
  update(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Param('id', IdPipe) id: string,
    @Body(ItemPatchPipe) patch: ItemPatch,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Lease() lease: string | undefined,
  ): Promise<Representation<ItemResponse>> {
    return this.patches.apply(caller, id, patch, ifMatch, lease);
  }

  /** Deletes an item. */
  @Delete(':id')
  @Requires('items:write')
  @OpenToAgents({ scope: 'items:write' })
  @HttpCode(204)
  @ApiNoContentResponse()
  @ApiHeader({ name: 'If-Match', required: false, description: 'The ETag that you mean to delete.' })
  @ApiResponse({ status: 428, description: 'The workspace demands If-Match; nothing was written.' })
  @ApiPreconditionFailedResponse({ description: 'The item has moved on; nothing was deleted.' })
  @TakesLease()
  @ApiConflictResponse({ description: 'The lease was lost; nothing was deleted.' })
  delete(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Param('id', IdPipe) id: string,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Lease() lease: string | undefined,
  ): Promise<Representation<never>> {
    return this.items.delete(caller, id, ifMatch, lease);
  }
}
