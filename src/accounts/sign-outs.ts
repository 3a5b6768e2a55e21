import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { ClientInfo } from '../common/client-info.js';

/** Whose sessions end, why (`password-changed` and the like), and which one may go on. */
export interface SignOutOrder {
  readonly userId: string;
  readonly reason: string;
  readonly exceptSessionId?: string;
  /** Who asked for it, for the audit trail; left out where that is recorded otherwise. */
  readonly client?: ClientInfo;
}

/** What remains to be done once the transaction has committed. */
export type AfterCommit = () => void;

/** Ends sessions within a transaction. */
export type SignOut = (manager: EntityManager, order: SignOutOrder) => Promise<AfterCommit>;

/** Where sessions say how they are ended, so that accounts can end them without knowing them. */
@Injectable()
export class SignOuts {
  private readonly endings: SignOut[] = [];

  /** Adds a way of ending sessions; called once per module, at start-up. */
  add(ending: SignOut): void {
    this.endings.push(ending);
  }

  /**
   * Ends sessions. To be called last in the transaction, after the account's row was changed: whoever proves
   * himself at the same time waits for that row, and is then refused.
   * @returns to be called after the commit: makes the end felt on this instance at once
   */
  async run(manager: EntityManager, order: SignOutOrder): Promise<AfterCommit> {
    const done: AfterCommit[] = [];
    for (const ending of this.endings) done.push(await ending(manager, order));
    return () => done.forEach((tell) => tell());
  }
}
