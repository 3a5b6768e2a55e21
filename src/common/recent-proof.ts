import { SetMetadata } from '@nestjs/common';

/** What a route that changes what opens an account asks of the session that calls it. */
export interface RecentProofRule {
  /**
   * Whether the request itself brings the account's password: that is proof enough for an account without a second
   * factor.
   */
  readonly bringsPassword: boolean;
}

export const RECENT_PROOF = 'atrium:recent-proof';

/**
 * The session must have proven who it is within `STEP_UP_SECONDS`, with a second factor if the account has one:
 * else 403 `step_up_required`.
 */
export const RecentProof = (rule: RecentProofRule = { bringsPassword: false }): MethodDecorator =>
  SetMetadata<string, RecentProofRule>(RECENT_PROOF, rule);
