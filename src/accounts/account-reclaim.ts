import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { User } from './user.entity.js';

/** Removes what somebody else may have set up in an account, in the transaction that hands it over. */
export type AccountReclaimStep = (manager: EntityManager, user: User) => Promise<void>;

/**
 * Somebody proves an address whose account was never verified: until now anybody may have held it. Here modules
 * say what must go then (second factors, linked identities), without accounts knowing them. The password is
 * replaced and every session ended in any case.
 */
@Injectable()
export class AccountReclaim {
  private readonly steps: AccountReclaimStep[] = [];

  /** Adds a step; called once per module, at start-up. */
  add(step: AccountReclaimStep): void {
    this.steps.push(step);
  }

  /** Runs the steps in the order in which they were added. */
  async run(manager: EntityManager, user: User): Promise<void> {
    for (const step of this.steps) await step(manager, user);
  }
}
