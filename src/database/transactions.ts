import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { traces } from '../common/traces.js';
import type { BoundedPool } from './bounded-pool.js';
import { isRetryable } from './errors.js';
import type { PoolUse } from './pool-use.js';

/** Attempts in all, and the longest wait before the next one per attempt made, in ms. */
const ATTEMPTS = 5;
const BACKOFF_MS = 20;

/** Runs work in one transaction, again when PostgreSQL sacrificed it for a concurrent one. */
@Injectable()
export class Transactions {
  /** @param begin statements that each transaction begins with, where sessions are nobody's own */
  constructor(
    private readonly dataSource: DataSource,
    private readonly begin?: string,
  ) {}

  get use(): PoolUse {
    // TypeORM's own; other statements of its data source use it, too.
    return (this.dataSource.driver as unknown as { readonly master: BoundedPool }).master.use;
  }

  /**
   * Commits what `work` did and answers with what it answered; any error rolls everything back and is thrown on.
   * After a serialization failure (40001) or a deadlock (40P01), and after nothing else, `work` runs again, up to
   * five times in all: outside of the database it must not do what cannot be done twice.
   * @throws {import('./errors.js').DatabaseBusyError} there is no connection for it; nothing was done
   */
  run<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    if (traces === undefined) return this.committed(work);
    return traces.run({ kind: 'transaction' }, () => this.committed(work));
  }

  private async committed<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.dataSource.transaction((manager) => this.bounded(manager, work));
      } catch (error) {
        if (attempt === ATTEMPTS || !isRetryable(error)) throw error;
        // Random, so that the two who met do not meet again.
        await delay(Math.random() * BACKOFF_MS * attempt);
      }
    }
  }

  private async bounded<T>(manager: EntityManager, work: (manager: EntityManager) => Promise<T>): Promise<T> {
    if (this.begin !== undefined) await manager.query(this.begin);
    return work(manager);
  }
}
