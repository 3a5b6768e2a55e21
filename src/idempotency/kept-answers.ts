import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Principal } from '../common/access.js';
import { CACHING, type Representation, representationHeaders } from '../common/representation.js';
import { IdempotencyInProgress } from './idempotency.errors.js';
import { KEEP_ANSWER } from './idempotency-keys.sql.js';
import { seal } from './sealed-answers.js';

/** Keeps what a request under an `Idempotency-Key` is answered, together with what it did. */
@Injectable()
export class KeptAnswers {
  /**
   * Stores the answer in the transaction that did what was asked for, as its last statement; nothing for a request
   * without a key. The handler is to say that it {@link import('./keeps-answer.js').KeepsAnswer}. One that is `secret` can
   * be read by nobody but whoever sends the same key again.
   * @param status of the answer
   * @throws {IdempotencyInProgress} if the request was given up for lost and another does it: this one must not
   */
  async keep(
    manager: EntityManager,
    { claim }: Principal,
    answer: Representation<unknown>,
    status = 201,
  ): Promise<void> {
    if (!claim) return;
    const headers = JSON.stringify({ 'Cache-Control': CACHING, ...representationHeaders(answer) });
    const body = answer.meta.secret ? seal(claim.sealingKey, answer.json) : answer.json;
    const values = [claim.principalId, claim.keyHash, claim.id, status, headers, body];
    const kept = await manager.query<unknown[]>(KEEP_ANSWER, values);
    if (kept.length === 0) throw new IdempotencyInProgress();
  }

  /**
   * {@link keep} as the last step of a transaction that is still to be run; nothing for a request without a key, which
   * so costs nothing.
   * @param represent what the transaction has done, as the answer
   */
  last<Done>(
    caller: Principal,
    represent: (done: Done) => Representation<unknown>,
    status?: number,
  ): ((manager: EntityManager, done: Done) => Promise<void>) | undefined {
    return caller.claim && ((manager, done) => this.keep(manager, caller, represent(done), status));
  }
}
