import { Injectable } from '@nestjs/common';
import { Algorithm, hash, verify } from '@node-rs/argon2';
import pLimit from 'p-limit';
import { Unavailable, ValidationFailed } from '../common/problem.js';
import { weakness } from './password-rules.js';

/** OWASP's argon2id parameters: 19 MiB, two passes, one lane. */
const PARAMETERS = { algorithm: Algorithm.Argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Hashing costs a core for tens of milliseconds: this many at once, and this many waiting. */
const CONCURRENCY = 2;
const MAX_WAITING = 64;

/** Judges, hashes and checks passwords: argon2id on the thread pool, off the event loop, a bounded number at once. */
@Injectable()
export class Passwords {
  private readonly limit = pLimit(CONCURRENCY);
  /** Spent on unknown accounts, so that they take as long as known ones. */
  private readonly decoy = hash('no account has this password', PARAMETERS);

  /**
   * @param email the account's address, normalised
   * @param pointer where in the request the password is, `/password`
   * @throws {ValidationFailed} if it is common, or the address itself
   */
  async refuseWeak(password: string, email: string, pointer: string): Promise<void> {
    const detail = await weakness(password, email);
    if (detail !== undefined) throw new ValidationFailed([{ pointer, detail }]);
  }

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

  /** Whether a hash was made with less effort than a new one would be. */
  isOutdated(passwordHash: string): boolean {
    const [, memory, time] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/.exec(passwordHash) ?? [];
    return !(Number(memory) >= PARAMETERS.memoryCost && Number(time) >= PARAMETERS.timeCost);
  }

  private async bounded<T>(work: () => Promise<T>): Promise<T> {
    if (this.limit.pendingCount >= MAX_WAITING)
      throw new Unavailable('Too many sign-ins at once; try again.');
    return this.limit(work);
  }
}
