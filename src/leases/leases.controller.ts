import { Body, Controller, HttpCode, Param, Post } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConflictResponse,
  ApiOkResponse,
  ApiResponse,
  ApiTags,
} from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal } from '../common/access.js';
import { CallerGone } from '../common/caller-gone.js';
import { IdPipe } from '../common/identifiers.js';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { LeaseClaims } from './lease-claims.js';
import {
  ClaimRequest,
  CompleteRequest,
  EndedLease,
  ExtendedLease,
  ExtendRequest,
  FailRequest,
  LeaseList,
} from './leases.dto.js';
import { LeasesService } from './leases.service.js';

const LOST = 'The lease has expired or ended, or is another one’s; nothing was changed.';

/** For agents: claiming items, and what becomes of the claims. */
@ApiTags('leases')
@ApiBearerAuth()
@Authenticated()
@OpenToAgents({ scope: 'leases' })
@Controller('v1/leases')
export class LeasesController {
  constructor(
    private readonly claims: LeaseClaims,
    private readonly leases: LeasesService,
  ) {}

  /** Claims items for the calling agent, at once or, by `waitSeconds`, when there are some. */
  @Post()
  @KeepsAnswer()
  @HttpCode(200)
  @ApiOkResponse({ type: LeaseList })
  @ApiConflictResponse({ description: 'Agents work on too many types of items in this workspace.' })
  claim(
    @CurrentPrincipal() caller: Principal,
    @Body() body: ClaimRequest,
    @CallerGone() gone: AbortSignal,
  ): Promise<Representation<LeaseList>> {
    return this.claims.claim(caller, body, gone);
  }

  /** Keeps a lease for longer. */
  @Post(':id/extend')
  @KeepsAnswer()
  @HttpCode(200)
  @ApiBody({ type: ExtendRequest, required: false })
  @ApiOkResponse({ type: ExtendedLease })
  @ApiConflictResponse({ description: LOST })
  extend(
    @CurrentPrincipal() caller: Principal,
    @Param('id', IdPipe) id: string,
    @Body() { ttlSeconds = 60 }: ExtendRequest,
  ): Promise<Representation<ExtendedLease>> {
    return this.leases.extend(caller, id, ttlSeconds);
  }

  /** The work is done; with a patch, the item is changed in the same transaction. */
  @Post(':id/complete')
  @KeepsAnswer()
  @HttpCode(200)
  @ApiBody({ type: CompleteRequest, required: false })
  @ApiOkResponse({ type: EndedLease })
  @ApiConflictResponse({ description: LOST })
  @ApiResponse({ status: 428, description: 'There is a patch, and the workspace demands If-Match.' })
  complete(
    @CurrentPrincipal() caller: Principal,
    @Param('id', IdPipe) id: string,
    @Body() { patch }: CompleteRequest,
  ): Promise<Representation<EndedLease>> {
    return this.leases.complete(caller, id, patch);
  }

  /** The work has failed; it is tried again later, unless it has been too often. */
  @Post(':id/fail')
  @KeepsAnswer()
  @HttpCode(200)
  @ApiBody({ type: FailRequest, required: false })
  @ApiOkResponse({ type: EndedLease })
  @ApiConflictResponse({ description: LOST })
  fail(
    @CurrentPrincipal() caller: Principal,
    @Param('id', IdPipe) id: string,
    @Body() body: FailRequest,
  ): Promise<Representation<EndedLease>> {
    return this.leases.fail(caller, id, body);
  }

  /** Gives the item back; anybody may claim it at once. */
  @Post(':id/release')
  @KeepsAnswer()
  @HttpCode(200)
  @ApiOkResponse({ type: EndedLease })
  @ApiConflictResponse({ description: LOST })
  release(
    @CurrentPrincipal() caller: Principal,
    @Param('id', IdPipe) id: string,
  ): Promise<Representation<EndedLease>> {
    return this.leases.release(caller, id);
  }
}
