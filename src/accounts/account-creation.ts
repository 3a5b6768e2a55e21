import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { User } from './user.entity.js';

/** Something that must exist with every account. */
export type AccountCreationStep = (manager: EntityManager, user: User) => Promise<void>;

/**
 * Where modules say what a new account needs, without accounts knowing them. Every step runs in the
 * transaction that creates the user: all of it happens or nothing does.
 */
@Injectable()
export class AccountCreation {
  private readonly steps: AccountCreationStep[] = [];

  /** Adds a step; called once per module, at start-up. */
  add(step: AccountCreationStep): void {
    this.steps.push(step);
  }

  /** Runs the steps in the order in which they were added. */
  async run(manager: EntityManager, user: User): Promise<void> {
    for (const step of this.steps) await step(manager, user);
  }
}
