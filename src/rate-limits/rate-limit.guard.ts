import { type ExecutionContext, Injectable } from '@nestjs/common';
import { ThrottlerGuard } from '@nestjs/throttler';
import type { Response } from 'express';
import { ACCESS, type Access, type AuthenticatedRequest } from '../common/access.js';
import { addressOf, networkOf } from '../common/client-info.js';
import { RATE_POLICY, type RatePolicy } from '../common/rate-limit.js';
import { RateLimited } from './rate-limits.errors.js';

/** The limit of agents, on routes that say nothing else. */
export const AGENTS = 'agents';

/** What holds for a route, worked out at its first request. */
interface Rule {
  readonly name: string;
  readonly byAddress: boolean;
  /** Whether it is the general one, and of those who are known: agents have a limit of their own there. */
  readonly forPrincipals: boolean;
  readonly limit: number;
  /** Milliseconds. */
  readonly ttl: number;
  /** The `RateLimit-Policy` header. */
  readonly policy: string;
}

/**
 * Nest's throttler, cut to what every request can afford: the route's rule is worked out once, keys are not
 * hashed, one counter per request. Runs after the guard that finds the principal.
 *
 * Answers carry `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).
 */
@Injectable()
export class RateLimitGuard extends ThrottlerGuard {
  private readonly rules = new WeakMap<object, Rule | 'none'>();
  private agentsRule: Rule | undefined;

  /** @throws {RateLimited} */
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    if (context.getType() !== 'http') return true; // frames have a limit of their own
    const declared = this.ruleOf(context);
    if (declared === 'none') return true;
    const http = context.switchToHttp();
    const request = http.getRequest<AuthenticatedRequest>();
    const rule = declared.forPrincipals && request.user.agent ? this.ofAgents : declared;
    const who = rule.byAddress ? networkOf(addressOf(request)) : request.user.id;
    const { name, limit, ttl } = rule;
    const counted = await this.storageService.increment(`${name} ${who}`, ttl, limit, 0, name);
    const response = http.getResponse<Response>();
    const remaining = Math.max(0, limit - counted.totalHits);
    response.setHeader('RateLimit-Policy', rule.policy);
    response.setHeader('RateLimit', `"${name}";r=${remaining};t=${counted.timeToExpire}`);
    if (counted.isBlocked) throw new RateLimited(counted.timeToBlockExpire);
    return true;
  }

  private ruleOf(context: ExecutionContext): Rule | 'none' {
    const handler = context.getHandler();
    let rule = this.rules.get(handler);
    if (rule === undefined) this.rules.set(handler, (rule = this.workOut(context)));
    return rule;
  }

  private workOut(context: ExecutionContext): Rule | 'none' {
    const targets = [context.getHandler(), context.getClass()];
    const name = this.reflector.getAllAndOverride<RatePolicy | undefined>(RATE_POLICY, targets) ?? 'general';
    if (name === 'none') return name;
    const access = this.reflector.getAllAndOverride<Access | undefined>(ACCESS, targets);
    return this.rule(name, access === 'public');
  }

  private get ofAgents(): Rule {
    return (this.agentsRule ??= this.rule(AGENTS, false));
  }

  private rule(name: string, byAddress: boolean): Rule {
    const { limit, ttl } = this.throttlers.find((throttler) => throttler.name === name) ?? {};
    if (typeof limit !== 'number' || typeof ttl !== 'number') throw new Error(`No limit is set for ${name}`);
    const policy = `"${name}";q=${limit};w=${ttl / 1_000}`;
    return { name, byAddress, forPrincipals: name === 'general' && !byAddress, limit, ttl, policy };
  }
}
