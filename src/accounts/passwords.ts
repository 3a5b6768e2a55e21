import { Injectable } from '@nestjs/common';
import { Algorithm, hash, verify } from '@node-rs/argon2';
import pLimit from 'p-limit';
import { AtriumConfig } from '../config/config.js';
import { Unavailable, ValidationFailed } from '../common/problem.js';
import { weakness } from './password-rules.js';

/** As OWASP's parameters of argon2id have it; how much memory it takes is configured. */
const PASSES = 2;
const LANES = 1;

/** Hashing costs a core for tens of milliseconds: this many at once, and this many waiting. */
const CONCURRENCY = 2;
const MAX_WAITING = 64;

/** Judges, hashes and checks passwords: argon2id on the thread pool, off the event loop, a bounded number at once. */
@Injectable()
export class Passwords {
  private readonly limit = pLimit(CONCURRENCY);
  private readonly parameters;
  /** Spent on unknown accounts, so that they take as long as known ones. */
  private readonly decoy: Promise<string>;

  constructor({ passwords: { hashMemoryKib: memoryCost } }: AtriumConfig) {
    this.parameters = { algorithm: Algorithm.Argon2id, memoryCost, timeCost: PASSES, parallelism: LANES };
    this.decoy = hash('no account has this password', this.parameters);
  }

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
    return this.bounded(() => hash(password.normalize('NFC'), this.parameters));
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
    return !(Number(memory) >= this.parameters.memoryCost && Number(time) >= PASSES);
  }

  private async bounded<T>(work: () => Promise<T>): Promise<T> {
    if (this.limit.pendingCount >= MAX_WAITING)
      throw new Unavailable('Too many sign-ins at once; try again.');
    return this.limit(work);
  }
}
