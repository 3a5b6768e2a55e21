import { randomUUID } from 'node:crypto';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { Request } from 'express';
import jwt from 'jsonwebtoken';
import passport from 'passport';
import { Strategy } from 'passport-jwt';
import { bearerToken, type Principal } from '../common/access.js';
import { Clock } from '../common/clock.js';
import { Unauthenticated } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';
import { keyOf, principalOf, verificationOptions } from './access-tokens.js';
import { TokenKeys } from './token-keys.js';

/** passport-jwt types keys as text, and hands on to `jsonwebtoken` whatever it is given. */
type KeyFound = (error: unknown, key?: string | Buffer) => void;

/** Reads the bearer token of a request (RFC 6750, section 2.1). Headers only: a URL ends up in logs. */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy) implements OnApplicationShutdown {
  constructor(
    config: AtriumConfig,
    keys: TokenKeys,
    private readonly clock: Clock,
  ) {
    const { algorithms, issuer, audience } = verificationOptions(config, keys);
    super({
      // The same reading as below: what is verified and what is believed must be one token.
      jwtFromRequest: (request: Request) => bearerToken(request) ?? null,
      secretOrKeyProvider: (_: Request, token: string, done: KeyFound) => {
        try {
          done(null, keyOf(token, keys) as unknown as string);
        } catch (error) {
          done(error);
        }
      },
      algorithms,
      issuer,
      audience,
      ignoreExpiration: true, // judged below, by the injected clock
      passReqToCallback: true,
    });
    // All applications of a process share one passport: by a common name, the last one's keys and clock would judge for all.
    passport.unuse(this.name);
    this.name = `jwt-${randomUUID()}`;
    passport.use(this);
  }

  /** The signature was good: what remains is whether it is an access token at all, and still alive. */
  validate(request: Request): Principal {
    const principal = principalOf(jwt.decode(bearerToken(request) ?? '', { complete: true }));
    if (principal.expiresAt <= this.clock.now()) throw new Unauthenticated('The access token has expired.');
    return principal;
  }

  onApplicationShutdown(): void {
    passport.unuse(this.name);
  }
}
