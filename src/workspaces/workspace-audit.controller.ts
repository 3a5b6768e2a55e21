import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { AuditEntryList } from '../audit/audit.dto.js';
import { IdPipe } from '../common/identifiers.js';
import { PageQuery } from '../common/pagination.js';
import { type Caller, CurrentCaller, Requires } from './requires.js';
import { WorkspaceAuditService } from './workspace-audit.service.js';

@ApiTags('workspaces')
@ApiBearerAuth()
@Controller('v1/workspaces/:id/audit')
export class WorkspaceAuditController {
  constructor(private readonly audit: WorkspaceAuditService) {}

  /** What happened to a workspace's members, roles, invitations and agents. Newest first. */
  @Get()
  @Requires('audit:read')
  @ApiOkResponse({ type: AuditEntryList })
  list(
    @CurrentCaller() caller: Caller<'audit:read'>,
    @Param('id', IdPipe) id: string,
    @Query() query: PageQuery,
  ): Promise<AuditEntryList> {
    return this.audit.list(caller, id, query);
  }
}
