import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiPreconditionFailedResponse,
  ApiTags,
} from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import { AnswersIfChanged, IfMatch, type VersionCondition } from '../common/conditional.js';
import { IdPipe } from '../common/identifiers.js';
import { PageQuery } from '../common/pagination.js';
import type { Representation } from '../common/representation.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from './requires.js';
import {
  CreateWorkspaceRequest,
  DeleteWorkspaceQuery,
  UpdateWorkspaceRequest,
  WorkspaceList,
  WorkspaceResponse,
} from './workspaces.dto.js';
import { WorkspacesService } from './workspaces.service.js';

@ApiTags('workspaces')
@ApiBearerAuth()
@Controller('v1/workspaces')
export class WorkspacesController {
  constructor(private readonly workspaces: WorkspacesService) {}

  /** Creates a workspace that the caller owns. */
  @Post()
  @KeepsAnswer()
  @Authenticated()
  @ApiCreatedResponse({ type: WorkspaceResponse })
  create(
    @CurrentPrincipal() principal: Principal,
    @Body() body: CreateWorkspaceRequest,
    @Client() client: ClientInfo,
  ): Promise<Representation<WorkspaceResponse>> {
    return this.workspaces.create(principal, body, client);
  }

  /** The caller's workspaces, oldest first. */
  @Get()
  @Authenticated()
  @ApiOkResponse({ type: WorkspaceList })
  list(@CurrentPrincipal() principal: Principal, @Query() query: PageQuery): Promise<WorkspaceList> {
    return this.workspaces.list(principal, query);
  }

  /** One of the caller's workspaces. */
  @Get(':id')
  @Requires('workspace:read')
  @ApiOkResponse({ type: WorkspaceResponse })
  @AnswersIfChanged()
  read(
    @CurrentCaller() caller: Caller<'workspace:read'>,
    @Param('id', IdPipe) id: string,
  ): Promise<Representation<WorkspaceResponse>> {
    return this.workspaces.read(caller, id);
  }

  /** Renames a workspace, which is for owners, or changes its settings, by a merge patch (RFC 7396). */
  @Patch(':id')
  @Requires('workspace:configure')
  @ApiConsumes('application/merge-patch+json', 'application/json')
  @ApiBody({ type: UpdateWorkspaceRequest })
  @ApiOkResponse({ type: WorkspaceResponse })
  @ApiHeader({ name: 'If-Match', required: false, description: 'The ETag that the change starts from.' })
  @ApiPreconditionFailedResponse({ description: 'The workspace has moved on; nothing was written.' })
  update(
    @CurrentCaller() caller: Caller<'workspace:configure'>,
    @Param('id', IdPipe) id: string,
    @Body() patch: UpdateWorkspaceRequest,
    @IfMatch() ifMatch: VersionCondition | undefined,
  ): Promise<Representation<WorkspaceResponse>> {
    return this.workspaces.update(caller, id, patch, ifMatch);
  }

  /** Deletes a workspace with everything in it, if `confirm` repeats its name. */
  @Delete(':id')
  @Requires('workspace:delete')
  @HttpCode(204)
  @ApiNoContentResponse()
  @ApiHeader({ name: 'If-Match', required: false, description: 'The ETag that you mean to delete.' })
  @ApiPreconditionFailedResponse({ description: 'The workspace has moved on; nothing was deleted.' })
  delete(
    @CurrentCaller() caller: Caller<'workspace:delete'>,
    @Param('id', IdPipe) id: string,
    @Query() query: DeleteWorkspaceQuery,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.workspaces.delete(caller, id, query.confirm, ifMatch, client);
  }
}
