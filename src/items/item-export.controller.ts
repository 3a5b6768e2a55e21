import { Controller, Get } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiExtraModels,
  ApiOkResponse,
  ApiQuery,
  ApiTags,
  ApiTooManyRequestsResponse,
  ApiUnprocessableEntityResponse,
  getSchemaPath,
} from '@nestjs/swagger';
import { Client, type ClientInfo } from '../common/client-info.js';
import { OpenToAgents } from '../common/scopes.js';
import type { Streamed } from '../common/streamed.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { ITEM_FORMATS, ItemExportParameters, type ItemExportQuery } from './item-export.query.js';
import { ItemExports } from './item-exports.js';
import { ApiItemSelection } from './item-list.api.js';
import { ItemResponse } from './items.dto.js';

@ApiTags('items')
@ApiBearerAuth()
@Controller('v1/items')
export class ItemExportController {
  constructor(private readonly exports: ItemExports) {}

  /** All items of a workspace, or of a list, as they were at one moment: a record a line. */
  @Get('export')
  @Requires('items:read')
  @OpenToAgents({ scope: 'items:read' })
  @ApiQuery({ name: 'format', required: false, enum: ITEM_FORMATS, description: 'ndjson when left out.' })
  @ApiItemSelection()
  @ApiExtraModels(ItemResponse)
  @ApiOkResponse({
    description:
      'Each line an item, as JSON or as CSV with a header; an answer that is cut off is not whole.',
    content: {
      'application/x-ndjson': { schema: { $ref: getSchemaPath(ItemResponse) } },
      'text/csv': { schema: { type: 'string' } },
    },
    headers: { 'Stream-Cursor': { description: 'What the items are as of.', schema: { type: 'string' } } },
  })
  @ApiUnprocessableEntityResponse({ description: 'It took too long to find the first items.' })
  @ApiTooManyRequestsResponse({ description: 'You have others running.' })
  export(
    @CurrentCaller() caller: Caller<'items:read'>,
    @ItemExportParameters() query: ItemExportQuery,
    @Client() client: ClientInfo,
  ): Promise<Streamed<ItemResponse>> {
    return this.exports.start(caller, query, client);
  }
}
