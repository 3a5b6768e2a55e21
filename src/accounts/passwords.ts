import { Injectable } from '@nestjs/common';
import { Algorithm, hash, verify } from '@node-rs/argon2';
import pLimit from 'p-limit';
import { Unavailable } from '../common/problem.js';

/** OWASP's argon2id parameters: 19 MiB, two passes, one lane. */
const PARAMETERS = { algorithm: Algorithm.Argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Hashing costs a core for tens of milliseconds: this many at once, and this many waiting. */
const CONCURRENCY = 2;
const MAX_WAITING = 64;

/** Hashes and checks passwords (argon2id) on the thread pool, off the event loop, a bounded number at once. */
@Injectable()
export class Passwords {
  private readonly limit = pLimit(CONCURRENCY);
  /** Spent on unknown accounts, so that they take as long as known ones. */
  private readonly decoy = hash('no account has this password', PARAMETERS);

  /** @throws {Unavailable} when too many are waiting already */
  async hash(password: string): Promise<string> {
    return this.bounded(() => hash(password.normalize('NFC'), PARAMETERS));
  }

  /**
   * Whether `password` is the one behind `passwordHash`. Without a hash it takes the same time and says no.
   * @throws {Unavailable} when too many are waiting already
   */
  async matches(passwordHash: string | undefined, password: string): Promise<boolean> {
    const matched = await this.bounded(async () =>
      verify(passwordHash ?? (await this.decoy), password.normalize('NFC')),
    );
    return matched && passwordHash !== undefined;
  }

  private async bounded<T>(work: () => Promise<T>): Promise<T> {
    if (this.limit.pendingCount >= MAX_WAITING)
      throw new Unavailable('Too many sign-ins at once; try again.');
    return this.limit(work);
  }
}
