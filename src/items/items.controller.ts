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
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import { IfMatch, type VersionCondition } from '../common/conditional.js';
import { IdPipe } from '../common/identifiers.js';
import type { Representation } from '../common/representation.js';
import { CreateItemRequest, ItemList, ItemResponse, ListItemsQuery, UpdateItemRequest } from './items.dto.js';
import { ItemsService } from './items.service.js';

@ApiTags('items')
@ApiBearerAuth()
@Controller('v1/items')
@Authenticated()
export class ItemsController {
  constructor(private readonly items: ItemsService) {}

  /** Creates an item. */
  @Post()
  @ApiCreatedResponse({ type: ItemResponse })
  create(
    @CurrentPrincipal() principal: Principal,
    @Body() body: CreateItemRequest,
  ): Promise<Representation<ItemResponse>> {
    return this.items.create(principal, body);
  }

  /** The items of a workspace, newest first. */
  @Get()
  @ApiOkResponse({ type: ItemList })
  list(
    @CurrentPrincipal() principal: Principal,
    @Query() query: ListItemsQuery,
  ): Promise<Representation<ItemList>> {
    return this.items.list(principal, query);
  }

  /** One item. */
  @Get(':id')
  @ApiOkResponse({ type: ItemResponse })
  @ApiHeader({
    name: 'If-None-Match',
    required: false,
    description: 'An ETag that you have; 304 if it is current.',
  })
  @ApiNotModifiedResponse()
  read(
    @CurrentPrincipal() principal: Principal,
    @Param('id', IdPipe) id: string,
  ): Promise<Representation<ItemResponse>> {
    return this.items.read(principal, id);
  }

  /** Changes an item by a merge patch (RFC 7396): null removes a member of `data`. */
  @Patch(':id')
  @ApiConsumes('application/merge-patch+json', 'application/json')
  @ApiBody({ type: UpdateItemRequest })
  @ApiOkResponse({ type: ItemResponse })
  @ApiHeader({ name: 'If-Match', required: false, description: 'The ETag that the change starts from.' })
  @ApiPreconditionFailedResponse({ description: 'The item has moved on; nothing was written.' })
  update(
    @CurrentPrincipal() principal: Principal,
    @Param('id', IdPipe) id: string,
    @Body() patch: UpdateItemRequest,
    @IfMatch() ifMatch: VersionCondition | undefined,
  ): Promise<Representation<ItemResponse>> {
    return this.items.update(principal, id, patch, ifMatch);
  }

  /** Deletes an item. */
  @Delete(':id')
  @HttpCode(204)
  @ApiNoContentResponse()
  @ApiHeader({ name: 'If-Match', required: false, description: 'The ETag that you mean to delete.' })
  @ApiPreconditionFailedResponse({ description: 'The item has moved on; nothing was deleted.' })
  delete(
    @CurrentPrincipal() principal: Principal,
    @Param('id', IdPipe) id: string,
    @IfMatch() ifMatch: VersionCondition | undefined,
  ): Promise<Representation<never>> {
    return this.items.delete(principal, id, ifMatch);
  }
}
