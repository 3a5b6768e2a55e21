import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { AuthenticatedRequest } from '../common/access.js';
import { RECENT_PROOF, type RecentProofRule } from '../common/recent-proof.js';
import { StepUpService } from './step-up.service.js';

/** Keeps what `@RecentProof()` says of a route. Runs after the guard that finds the principal. */
@Injectable()
export class StepUpGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly stepUps: StepUpService,
  ) {}

  /** @throws {import('./mfa.errors.js').StepUpRequired} */
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const rule = this.reflector.get<RecentProofRule | undefined>(RECENT_PROOF, context.getHandler());
    if (rule === undefined) return true;
    const { user } = context.switchToHttp().getRequest<AuthenticatedRequest>();
    return this.stepUps.demand(user, rule).then(() => true);
  }
}
