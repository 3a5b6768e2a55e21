import { SetMetadata } from '@nestjs/common';

/**
 * How often a route may be called. `general`, unless it says otherwise; `sign-in`: what proves who somebody is,
 * makes an account or sends a mail; `refresh`: trades refresh tokens; `none`: probes.
 */
export type RatePolicy = 'general' | 'sign-in' | 'refresh' | 'none';

export const RATE_POLICY = 'atrium:rate-policy';

/** Says how often a route may be called: by one principal or, if it is public, from one address. */
export const RateLimit = (policy: RatePolicy): MethodDecorator & ClassDecorator =>
  SetMetadata<string, RatePolicy>(RATE_POLICY, policy);
