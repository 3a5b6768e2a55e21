import { Injectable } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import { Clock } from '../common/clock.js';

const CAPACITY = 10_000;

/**
 * Remembers tokens whose signature was good, so that a client's next request need not prove it again. Holds
 * the newest {@link CAPACITY}; expiry is asked each time. Revocation is not this class's business.
 */
@Injectable()
export class VerifiedTokens {
  private readonly principals = new Map<string, Principal>();

  constructor(private readonly clock: Clock) {}

  find(token: string): Principal | undefined {
    const principal = this.principals.get(token);
    if (principal !== undefined && principal.expiresAt <= this.clock.now()) {
      this.principals.delete(token);
      return undefined;
    }
    return principal;
  }

  remember(token: string, principal: Principal): void {
    if (this.principals.size >= CAPACITY) {
      const [oldest] = this.principals.keys();
      if (oldest !== undefined) this.principals.delete(oldest);
    }
    this.principals.set(token, principal);
  }
}
