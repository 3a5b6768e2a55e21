import {
  Controller,
  Delete,
  Get,
  Head,
  HttpCode,
  Param,
  Patch,
  Post,
  Query,
  UseGuards,
} from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBearerAuth,
  ApiBody,
  ApiConflictResponse,
  ApiConsumes,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiPayloadTooLargeResponse,
  ApiTags,
  ApiTooManyRequestsResponse,
  getSchemaPath,
} from '@nestjs/swagger';
import { Client, type ClientInfo } from '../common/client-info.js';
import { AnswersIfChanged } from '../common/conditional.js';
import { IdPipe } from '../common/identifiers.js';
import { PageQuery } from '../common/pagination.js';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { type Upload, UploadedBody } from '../common/upload.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { LeaseHeader } from './item-lease.js';
import { IMPORT_TYPES, PART_TYPE } from './item-import-bodies.js';
import { ImportedItem, ImportQuery, ImportRefusalList, ImportResponse } from './item-import.dto.js';
import { ItemImports } from './item-imports.service.js';

@ApiTags('items')
@ApiBearerAuth()
@Controller('v1/items')
@UseGuards(LeaseHeader)
export class ItemImportsController {
  constructor(private readonly imports: ItemImports) {}

  /** Begins an import: of all that is sent or, with `Upload-Complete: ?0`, of a first part. */
  @Post('import')
  @KeepsAnswer()
  @Requires('items:write')
  @OpenToAgents({ scope: 'items:write' })
  @ApiConsumes(...IMPORT_TYPES)
  @ApiExtraModels(ImportedItem)
  @ApiBody({
    description: 'Each line an item, as JSON, or as CSV with these columns.',
    schema: { $ref: getSchemaPath(ImportedItem) },
  })
  @ApiHeader({ name: 'Upload-Complete', required: false, description: '?0: parts follow. ?1: it is all.' })
  @ApiAcceptedResponse({ type: ImportResponse, description: 'All is there, and is worked on.' })
  @ApiCreatedResponse({ type: ImportResponse, description: 'Parts may follow.' })
  @ApiPayloadTooLargeResponse({ description: 'Over IMPORT_LIMIT_BYTES.' })
  @ApiTooManyRequestsResponse({ description: 'Three of yours have not ended.' })
  create(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Query() query: ImportQuery,
    @UploadedBody() upload: Upload,
    @Client() client: ClientInfo,
  ): Promise<Representation<ImportResponse>> {
    return this.imports.create(caller, query, upload, client);
  }

  /** Where the upload of an import is, in `Upload-Offset` and `Upload-Complete`. */
  @Head('imports/:id')
  @Requires('items:read')
  @OpenToAgents({ scope: 'items:write' })
  @HttpCode(204)
  @ApiNoContentResponse()
  offset(
    @CurrentCaller() caller: Caller<'items:read'>,
    @Param('id', IdPipe) id: string,
  ): Promise<Representation<never>> {
    return this.imports.offset(caller, id);
  }

  /** How far an import is, and what came of it. */
  @Get('imports/:id')
  @Requires('items:read')
  @OpenToAgents({ scope: 'items:read' })
  @ApiOkResponse({ type: ImportResponse })
  @AnswersIfChanged()
  read(
    @CurrentCaller() caller: Caller<'items:read'>,
    @Param('id', IdPipe) id: string,
  ): Promise<Representation<ImportResponse>> {
    return this.imports.read(caller, id);
  }

  /** The records that became no item, by line, with the reasons. */
  @Get('imports/:id/refusals')
  @Requires('items:read')
  @OpenToAgents({ scope: 'items:read' })
  @ApiOkResponse({ type: ImportRefusalList })
  refusals(
    @CurrentCaller() caller: Caller<'items:read'>,
    @Param('id', IdPipe) id: string,
    @Query() query: PageQuery,
  ): Promise<Representation<ImportRefusalList>> {
    return this.imports.refusals(caller, id, query);
  }

  /** Sends the next part of an upload, from `Upload-Offset` on; `Upload-Complete: ?1` with the last. */
  @Patch('imports/:id')
  @Requires('items:write')
  @OpenToAgents({ scope: 'items:write' })
  @ApiConsumes(PART_TYPE)
  @ApiBody({ schema: { type: 'string', format: 'binary' } })
  @ApiHeader({ name: 'Upload-Offset', required: true, description: 'Where the part begins, in bytes.' })
  @ApiHeader({ name: 'Upload-Complete', required: false, description: '?1: it is the last.' })
  @ApiOkResponse({ type: ImportResponse, description: 'Parts may follow.' })
  @ApiAcceptedResponse({ type: ImportResponse, description: 'All is there, and is worked on.' })
  @ApiConflictResponse({ description: 'It is somewhere else, as Upload-Offset says, or takes nothing more.' })
  upload(
    @CurrentCaller() caller: Caller<'items:write'>,
    @Param('id', IdPipe) id: string,
    @UploadedBody() upload: Upload,
    @Client() client: ClientInfo,
  ): Promise<Representation<ImportResponse>> {
    return this.imports.upload(caller, id, upload, client);
  }

  /** Ends an import where it is. What it has created stays. */
  @Delete('imports/:id')
  @Requires('items:write')
  @OpenToAgents({ scope: 'items:write' })
  @HttpCode(204)
  @ApiNoContentResponse()
  cancel(@CurrentCaller() caller: Caller<'items:write'>, @Param('id', IdPipe) id: string): Promise<void> {
    return this.imports.cancel(caller, id);
  }
}
