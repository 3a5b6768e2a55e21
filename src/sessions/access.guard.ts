import { type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard } from '@nestjs/passport';
import type { Request } from 'express';
import {
  ACCESS,
  type Access,
  type AuthenticatedRequest,
  bearerToken,
  type Principal,
} from '../common/access.js';
import { Forbidden, Problem, Unauthenticated } from '../common/problem.js';
import { admitAgent, AGENT_ACCESS, type AgentAccess } from '../common/scopes.js';
import { BadTokens } from '../rate-limits/bad-tokens.js';
import { JwtStrategy } from './jwt.strategy.js';
import { SessionRevocations } from './session-revocations.js';
import { SessionRevoked } from './sessions.errors.js';
import { VerifiedTokens } from './verified-tokens.js';

/**
 * Closed by default: a route opens only by what it declares. A token is verified by passport once and then
 * recognised; whether its session was revoked is asked every time, from memory.
 */
@Injectable()
export class AccessGuard extends AuthGuard() {
  constructor(
    strategy: JwtStrategy,
    private readonly reflector: Reflector,
    private readonly verified: VerifiedTokens,
    private readonly revocations: SessionRevocations,
    private readonly badTokens: BadTokens,
  ) {
    super({ defaultStrategy: strategy.name });
  }

  override canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    if (context.getType() !== 'http') return true; // sockets prove themselves before any handler runs
    const access = this.reflector.getAllAndOverride<Access | undefined>(ACCESS, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (access === 'public') return true;
    if (access === undefined) throw new Forbidden('This route does not say who may call it.');
    const request = context.switchToHttp().getRequest<Request>();
    if (access !== 'authenticated') (request as AuthenticatedRequest).required = access;
    const token = bearerToken(request);
    const known = token === undefined ? undefined : this.verified.find(token);
    return known ? this.admit(context, request, known) : this.verify(context, request, token);
  }

  override handleRequest<T>(error: unknown, principal: T | false, info: unknown): T {
    if (error instanceof Problem) throw error;
    if (error || !principal) throw new Unauthenticated(undefined, error ?? info);
    return principal;
  }

  private async verify(
    context: ExecutionContext,
    request: Request,
    token: string | undefined,
  ): Promise<boolean> {
    this.badTokens.refuseFlood(request);
    try {
      await super.canActivate(context);
    } catch (error) {
      this.badTokens.count(request);
      throw error;
    }
    const principal = (request as AuthenticatedRequest).user;
    if (token !== undefined) this.verified.remember(token, principal);
    return this.admit(context, request, principal);
  }

  private admit(context: ExecutionContext, request: Request, principal: Principal): boolean {
    if (this.revocations.hasEnded(principal)) throw new SessionRevoked();
    if (principal.agent) {
      const targets = [context.getHandler(), context.getClass()];
      const access = this.reflector.getAllAndOverride<AgentAccess | undefined>(AGENT_ACCESS, targets);
      admitAgent(principal, access, request.params['id']);
    }
    (request as AuthenticatedRequest).user = principal;
    return true;
  }
}
