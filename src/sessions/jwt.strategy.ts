import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { Jwt } from 'jsonwebtoken';
import { ExtractJwt, Strategy } from 'passport-jwt';
import type { Principal } from '../common/access.js';
import { Clock } from '../common/clock.js';
import { Unauthenticated } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';
import { principalOf, verificationOptions } from './access-tokens.js';

/** Reads the bearer token of a request (RFC 6750, section 2.1). Headers only: a URL ends up in logs. */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy) {
  constructor(
    config: AtriumConfig,
    private readonly clock: Clock,
  ) {
    const { algorithms, issuer, audience, complete } = verificationOptions(config);
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKey: config.tokens.secret,
      algorithms: [...algorithms],
      issuer,
      audience,
      jsonWebTokenOptions: { complete },
    });
  }

  validate(complete: Jwt): Principal {
    const principal = principalOf(complete);
    // Passport asks the machine's clock; sockets and recognised tokens ask this one, and all must agree.
    if (principal.expiresAt <= this.clock.now()) throw new Unauthenticated();
    return principal;
  }
}
