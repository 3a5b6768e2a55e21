import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { LastSignInMethod } from './accounts.errors.js';
import type { User } from './user.entity.js';

/** How many ways of one kind an account has to begin a sign-in. */
export type SignInMethodCount = (manager: EntityManager, userId: string) => Promise<number>;

/** Where modules say by what people sign in, beside the password, so that nobody takes away their last way in. */
@Injectable()
export class SignInMethods {
  private readonly counts: SignInMethodCount[] = [];

  /** Adds a kind; called once per module, at start-up. */
  add(count: SignInMethodCount): void {
    this.counts.push(count);
  }

  /**
   * To be called before one that exists is removed, while the account's row is locked: of two who remove at once, the
   * second counts what the first has left.
   * @throws {LastSignInMethod} if it is the only one
   */
  async refuseLast(manager: EntityManager, user: User): Promise<void> {
    if (user.passwordHash !== null) return;
    let others = -1;
    for (const count of this.counts) others += await count(manager, user.id);
    if (others <= 0) throw new LastSignInMethod();
  }
}
