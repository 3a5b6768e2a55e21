import { Injectable, Logger } from '@nestjs/common';
import { createHash } from 'node:crypto';
import pLimit, { type LimitFunction } from 'p-limit';
import { type ClientInfo, networkOf } from '../common/client-info.js';
import { reasonOf } from '../common/reason.js';
import { Jobs } from '../jobs/jobs.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import {
  BEGIN_ATTEMPT,
  BEGIN_FACTOR_ATTEMPT,
  FORGIVE_ATTEMPT,
  PURGE_ATTEMPTS,
  PURGE_BATCH,
  TRUST_PAIR,
} from './password-attempts.sql.js';
import { TooManyAttempts } from './rate-limits.errors.js';

const PURGE_JOB = 'password-attempts.purge';
const EVERY_TEN_MINUTES = '*/10 * * * *';
/** Attempts of one address at one account that may wait for each other on this instance. */
const MAX_WAITING = 50;

/** What one attempt is counted under. */
interface Keys {
  readonly pair: Buffer;
  readonly account: Buffer;
  readonly address: Buffer;
}

/** What was thrown when a proof was wrong, as opposed to: could not be judged. */
type WrongProof = abstract new (...parameters: never[]) => Error;

/**
 * Makes guessing passwords slow, with waits that grow: of one address at one account, at one account from
 * everywhere, and of one address at all accounts. Nobody can lock an owner out: an address from which the account
 * has signed in waits for its own failures alone. Known and unknown accounts are treated alike.
 *
 * The counts are in PostgreSQL: a new process or another instance is no new chance.
 */
@Injectable()
export class PasswordAttempts {
  private readonly logger = new Logger(PasswordAttempts.name);
  /** By pair: attempts of one address at one account, one after another. */
  private readonly queues = new Map<string, LimitFunction>();

  constructor(
    private readonly statements: PipelinedStatements,
    jobs: Jobs,
  ) {
    jobs.handle(PURGE_JOB, { single: true }, async ({ signal }) => {
      await this.purge(signal);
      return 'done';
    });
    jobs.schedule(PURGE_JOB, EVERY_TEN_MINUTES);
  }

  /**
   * Lets a password be tried, unless it was tried in vain too often.
   * @param email normalised
   * @param Wrong the error by which `prove` says that the password is wrong
   * @returns what `prove` did
   * @throws {TooManyAttempts} before `prove` is called
   */
  async run<T>(email: string, client: ClientInfo, Wrong: WrongProof, prove: () => Promise<T>): Promise<T> {
    return this.judge(keysOf(email, client), BEGIN_ATTEMPT, Wrong, prove);
  }

  /**
   * The same for an account's second factor: counted by itself, and more strictly, since whoever tries it has the
   * first. Where the account has passed it before, only failures from there count.
   * @throws {TooManyAttempts} before `prove` is called
   */
  async runFactor<T>(
    userId: string,
    client: ClientInfo,
    Wrong: WrongProof,
    prove: () => Promise<T>,
  ): Promise<T> {
    const keys = keysOf(factorOf(userId), client);
    const answer = await this.judge(keys, BEGIN_FACTOR_ATTEMPT, Wrong, prove);
    await this.statements.run(TRUST_PAIR, [keys.pair]);
    return answer;
  }

  private judge<T>(keys: Keys, statement: Statement, Wrong: WrongProof, prove: () => Promise<T>): Promise<T> {
    return this.inTurn(keys.pair.toString('base64'), async () => {
      const counted = await this.begin(keys, statement);
      try {
        const answer = await prove();
        await this.statements.run(FORGIVE_ATTEMPT, [counted, true]);
        return answer;
      } catch (error) {
        if (!(error instanceof Wrong)) await this.takeBack(counted);
        throw error;
      }
    });
  }

  /** Remembers that the account has signed in, by whatever proof, from this address. */
  async trust(email: string, client: ClientInfo): Promise<void> {
    await this.statements.run(TRUST_PAIR, [keysOf(email, client).pair]);
  }

  /** Forgets what is of no more use; what an abort leaves is for the next time. */
  async purge(signal?: AbortSignal): Promise<void> {
    for (let removed = PURGE_BATCH; removed === PURGE_BATCH && !signal?.aborted;)
      removed = (await this.statements.run(PURGE_ATTEMPTS)).length;
  }

  /** @returns the keys under which the attempt was counted */
  private async begin({ pair, account, address }: Keys, statement: Statement): Promise<Buffer[]> {
    const [row] = await this.statements.run<{ wait: string | null; known: 't' | 'f' }>(statement, [
      pair,
      account,
      address,
    ]);
    if (row?.wait) throw new TooManyAttempts(Number(row.wait));
    return row?.known === 't' ? [pair] : [pair, account, address];
  }

  private async takeBack(counted: Buffer[]): Promise<void> {
    try {
      await this.statements.run(FORGIVE_ATTEMPT, [counted, false]);
    } catch (error) {
      this.logger.warn(`An attempt stays counted: ${reasonOf(error)}`);
    }
  }

  /** Who signs in many times at once, and rightly, is not taken for somebody who guesses. */
  private async inTurn<T>(pair: string, work: () => Promise<T>): Promise<T> {
    let queue = this.queues.get(pair);
    if (!queue) this.queues.set(pair, (queue = pLimit(1)));
    if (queue.pendingCount >= MAX_WAITING) throw new TooManyAttempts(1);
    try {
      return await queue(work);
    } finally {
      if (queue.pendingCount === 0 && queue.activeCount === 0) this.queues.delete(pair);
    }
  }
}

/** Takes the place of the address; no address has a colon. */
const factorOf = (userId: string): string => `second-factor:${userId}`;

function keysOf(email: string, client: ClientInfo): Keys {
  const network = networkOf(client.address);
  return {
    pair: keyOf('pair', email, network),
    account: keyOf('account', email),
    address: keyOf('address', network),
  };
}

/** The parts are told apart by a character that none of them has. */
const keyOf = (...parts: string[]): Buffer => createHash('sha256').update(parts.join('\0')).digest();
