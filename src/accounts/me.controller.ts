import { Controller, Get } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import type { Representation } from '../common/representation.js';
import { UserResponse } from './accounts.dto.js';
import { AccountsService } from './accounts.service.js';

@ApiTags('me')
@ApiBearerAuth()
@Controller('v1/me')
export class MeController {
  constructor(private readonly accounts: AccountsService) {}

  /** The caller's own account. */
  @Get()
  @Authenticated()
  @ApiOkResponse({ type: UserResponse })
  read(@CurrentPrincipal() principal: Principal): Promise<Representation<UserResponse>> {
    return this.accounts.me(principal);
  }
}
