import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { AfterCommit } from './sign-outs.js';
import type { User } from './user.entity.js';

/** Removes what belongs to an account alone; throws a problem to say what stands in the way. */
export type AccountDeletionStep = (manager: EntityManager, user: User) => Promise<AfterCommit | undefined>;

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

  /** Runs the steps in the order in which they were added. @returns to be called after the commit */
  async run(manager: EntityManager, user: User): Promise<AfterCommit> {
    const done: (AfterCommit | undefined)[] = [];
    for (const step of this.steps) done.push(await step(manager, user));
    return () => done.forEach((tell) => tell?.());
  }
}
