import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiHeader,
  ApiNoContentResponse,
  ApiNotModifiedResponse,
  ApiOkResponse,
  ApiPreconditionFailedResponse,
  ApiTags,
} from '@nestjs/swagger';
import { IfMatch, type VersionCondition } from '../common/conditional.js';
import { IdPipe } from '../common/identifiers.js';
import type { Representation } from '../common/representation.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { CreateItemRequest, ItemList, ItemResponse, ListItemsQuery, UpdateItemRequest } from './items.dto.js';
import { ItemsService } from './items.service.js';

@ApiTags('items')
@ApiBearerAuth()
@Controller('v1/items')
export class ItemsController {
  constructor(private readonly items: ItemsService) {}

  /** Creates an item. */
  @Post()
  @Requires('items:write')
  @ApiCreatedResponse({ type: ItemResponse })
  create(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Body() body: CreateItemRequest,
  ): Promise<Representation<ItemResponse>> {
    return this.items.create(caller, body);
  }

  /** The items of a workspace, newest first. */
  @Get()
  @Requires('items:read')
  @ApiOkResponse({ type: ItemList })
  list(
    @CurrentCaller() caller: Caller<'items:read'>,
    @Query() query: ListItemsQuery,
  ): Promise<Representation<ItemList>> {
    return this.items.list(caller, query);
  }

  /** One item. */
  @Get(':id')
  @Requires('items:read')
  @ApiOkResponse({ type: ItemResponse })
  @ApiHeader({
    name: 'If-None-Match',
    required: false,
    description: 'An ETag that you have; 304 if it is current.',
  })
  @ApiNotModifiedResponse()
  read(
    @CurrentCaller() caller: Caller<'items:read'>,
    @Param('id', IdPipe) id: string,
  ): Promise<Representation<ItemResponse>> {
    return this.items.read(caller, id);
  }

  /** Changes an item by a merge patch (RFC 7396): null removes a member of `data`. */
  @Patch(':id')
  @Requires('items:write')
  @ApiConsumes('application/merge-patch+json', 'application/json')
  @ApiBody({ type: UpdateItemRequest })
  @ApiOkResponse({ type: ItemResponse })
  @ApiHeader({ name: 'If-Match', required: false, description: 'The ETag that the change starts from.' })
  @ApiPreconditionFailedResponse({ description: 'The item has moved on; nothing was written.' })
  update(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Param('id', IdPipe) id: string,
    @Body() patch: UpdateItemRequest,
    @IfMatch() ifMatch: VersionCondition | undefined,
  ): Promise<Representation<ItemResponse>> {
    return this.items.update(caller, id, patch, ifMatch);
  }

  /** Deletes an item. */
  @Delete(':id')
  @Requires('items:write')
  @HttpCode(204)
  @ApiNoContentResponse()
  @ApiHeader({ name: 'If-Match', required: false, description: 'The ETag that you mean to delete.' })
  @ApiPreconditionFailedResponse({ description: 'The item has moved on; nothing was deleted.' })
  delete(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Param('id', IdPipe) id: string,
    @IfMatch() ifMatch: VersionCondition | undefined,
  ): Promise<Representation<never>> {
    return this.items.delete(caller, id, ifMatch);
  }
}
