import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Transactions } from '../database/transactions.js';
import { Announcements } from './announcements.js';
import { EventAppends, type NewEvent } from './event-appends.js';
import type { StreamEvent } from './stream-event.js';

/** What a transaction answers, and what it tells the streams. */
export interface Appending<T> {
  readonly answer: T;
  readonly events: readonly NewEvent[];
  /** Whether the events take a right from somebody: then what was authorised before them is asked again. */
  readonly takesAccess?: boolean;
  /**
   * What else there is to tell, as it is once nobody whom the others take a right from writes any more. Asked for while
   * the stream is held up, so it is short.
   */
  readonly late?: () => Promise<readonly NewEvent[]>;
}

/** What {@link AppendingTransactions.run} did. */
export interface Appended<T> {
  readonly answer: T;
  readonly events: readonly StreamEvent[];
}

/** Ordinary transactions that end in events: for writes that need more than one statement, and are not hot. */
@Injectable()
export class AppendingTransactions {
  constructor(
    private readonly transactions: Transactions,
    private readonly appends: EventAppends,
    private readonly announcements: Announcements,
  ) {}

  /**
   * Runs `work`, appends the events that it returns as the transaction's last statement, commits and announces
   * them. As {@link Transactions.run}, it may run `work` again.
   * @param last what must stand or fall with it and needs the events as they are; holds up the stream, so it is short
   */
  async run<T>(
    work: (manager: EntityManager) => Promise<Appending<T>>,
    last?: (manager: EntityManager, appended: Appended<T>) => Promise<void>,
  ): Promise<Appended<T>> {
    const appended = await this.transactions.run(async (manager) => {
      const { answer, events, takesAccess, late } = await work(manager);
      const told = await this.appends.appendWithin(manager, events, takesAccess);
      if (late) told.push(...(await this.appends.appendWithin(manager, await late())));
      const done = { answer, events: told };
      await last?.(manager, done);
      return done;
    });
    this.announcements.announce(appended.events);
    return appended;
  }
}
