import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import { IdPipe } from '../common/identifiers.js';
import { PageQuery } from '../common/pagination.js';
import type { Representation } from '../common/representation.js';
import { WorkspaceList, WorkspaceResponse } from './workspaces.dto.js';
import { WorkspacesService } from './workspaces.service.js';

@ApiTags('workspaces')
@ApiBearerAuth()
@Controller('v1/workspaces')
@Authenticated()
export class WorkspacesController {
  constructor(private readonly workspaces: WorkspacesService) {}

  /** The caller's workspaces, oldest first. */
  @Get()
  @ApiOkResponse({ type: WorkspaceList })
  list(@CurrentPrincipal() principal: Principal, @Query() query: PageQuery): Promise<WorkspaceList> {
    return this.workspaces.list(principal, query);
  }

  /** One of the caller's workspaces. */
  @Get(':id')
  @ApiOkResponse({ type: WorkspaceResponse })
  read(
    @CurrentPrincipal() principal: Principal,
    @Param('id', IdPipe) id: string,
  ): Promise<Representation<WorkspaceResponse>> {
    return this.workspaces.read(principal, id);
  }
}
