import { Injectable } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import { AccessTokens } from './access-tokens.js';
import { SessionRevocations } from './session-revocations.js';
import { SessionRevoked } from './sessions.errors.js';

/** Says whom a token speaks for, outside the HTTP guard. */
@Injectable()
export class Authenticator {
  constructor(
    private readonly tokens: AccessTokens,
    private readonly revocations: SessionRevocations,
  ) {}

  /**
   * @throws {import('../common/problem.js').Unauthenticated} if the token is not good
   * @throws {SessionRevoked} if it was, until its session ended
   */
  authenticate(token: string): Principal {
    const principal = this.tokens.verify(token);
    if (this.revocations.hasEnded(principal)) throw new SessionRevoked();
    return principal;
  }
}
