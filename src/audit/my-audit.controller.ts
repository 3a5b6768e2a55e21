import { Controller, Get, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import { PageQuery } from '../common/pagination.js';
import { AuditEntryList } from './audit.dto.js';
import { MyAuditService } from './my-audit.service.js';

@ApiTags('me')
@ApiBearerAuth()
@Controller('v1/me/audit')
@Authenticated()
export class MyAuditController {
  constructor(private readonly audit: MyAuditService) {}

  /** What happened to the caller's account: sign-ins, refused ones too, and changes of its security. Newest first. */
  @Get()
  @ApiOkResponse({ type: AuditEntryList })
  list(@CurrentPrincipal() principal: Principal, @Query() query: PageQuery): Promise<AuditEntryList> {
    return this.audit.list(principal, query);
  }
}
