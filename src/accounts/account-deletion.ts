import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { User } from './user.entity.js';

/** Removes what belongs to an account alone; throws a problem to say what stands in the way. */
export type AccountDeletionStep = (manager: EntityManager, user: User) => Promise<void>;

/**
 * Where modules say what goes with an account, without accounts knowing them. Every step runs in the
 * transaction that deletes the user, before the user's row goes: all of it happens or nothing does.
 */
@Injectable()
export class AccountDeletion {
  private readonly steps: AccountDeletionStep[] = [];

  /** Adds a step; called once per module, at start-up. */
  add(step: AccountDeletionStep): void {
    this.steps.push(step);
  }

  /** Runs the steps in the order in which they were added. */
  async run(manager: EntityManager, user: User): Promise<void> {
    for (const step of this.steps) await step(manager, user);
  }
}
