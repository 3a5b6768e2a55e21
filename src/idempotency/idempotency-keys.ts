import { createHash, createHmac } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { RequestClaim } from '../common/access.js';
import { newId } from '../common/identifiers.js';
import { NO_STORE } from '../common/representation.js';
import { AtriumConfig } from '../config/config.js';
import { Jobs } from '../jobs/jobs.js';
import { PipelinedStatements, type StatementValue } from '../database/pipelined-statements.js';
import {
  IdempotencyInProgress,
  IdempotencyKeyReused,
  IdempotencyOutcomeUnknown,
  InvalidIdempotencyKey,
  TooManyIdempotencyKeys,
} from './idempotency.errors.js';
import {
  ANSWER_KEY,
  CLAIM_KEY,
  COUNT_KEYS,
  DOUBT_KEY,
  PURGE_KEYS,
  RELEASE_KEY,
} from './idempotency-keys.sql.js';
import { sealingKey, unseal } from './sealed-answers.js';

/** An answer as it was sent. */
export interface KeptAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

type ClaimRow =
  | { readonly claimed: 't' }
  | {
      readonly claimed: 'f';
      readonly state: 'running' | 'answered' | 'unknown';
      readonly same: string;
      readonly status: string;
      readonly headers: string;
      readonly body: string;
    };

/** What one principal may have kept, roughly: every so manieth request counts. */
const MAX_KEYS = 100_000;
const COUNT_EVERY = 64;
const PURGE_JOB = 'idempotency.purge';
/** What has expired counts as gone before it is removed. */
const EVERY_TEN_MINUTES = '*/10 * * * *';
const PURGE_BATCH = 1_000;

/** Remembers, in the database, what was answered to whom under which key, for 24 hours. */
@Injectable()
export class IdempotencyKeys {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly config: AtriumConfig,
    jobs: Jobs,
  ) {
    jobs.handle(PURGE_JOB, { single: true }, async ({ signal }) => {
      await this.purge(signal);
      return 'done';
    });
    jobs.schedule(PURGE_JOB, EVERY_TEN_MINUTES);
  }

  /**
   * Takes a key for a request, before anything of it is done. Keys of different principals have nothing to do with
   * each other.
   * @param header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a quoted string, or a bare one
   * @param request what must be the same when it is repeated
   * @param takesOver whether the key of a request that was cut off without an answer may be taken over: since whatever
   *   does it keeps its answer with it ({@link KeptAnswers}), so that nothing was done, or since it may run again
   * @returns the claim, to be settled; or the answer that the first request was given
   * @throws {InvalidIdempotencyKey} @throws {IdempotencyKeyReused} @throws {TooManyIdempotencyKeys}
   * @throws {IdempotencyInProgress} while the first request runs
   * @throws {IdempotencyOutcomeUnknown} if it was cut off
   */
  async claim(
    principalId: string,
    header: string,
    request: string,
    takesOver: boolean,
  ): Promise<RequestClaim | KeptAnswer> {
    const key = parseKey(header);
    if (Math.random() * COUNT_EVERY < 1) await this.refuseTooMany(principalId);
    const claim: RequestClaim = {
      principalId,
      keyHash: createHash('sha256').update(key).digest(),
      id: newId(),
      sealingKey: sealingKey(this.config.tokens.secret, principalId, key),
    };
    const fingerprint = createHmac('sha256', key).update(request).digest();
    const values = [principalId, claim.keyHash, fingerprint, claim.id, takesOver];
    const [row] = await this.statements.run<ClaimRow | undefined>(CLAIM_KEY, values);
    if (row?.claimed === 't') return claim;
    if (!row) throw new IdempotencyInProgress();
    if (row.same !== 'true') throw new IdempotencyKeyReused();
    if (row.state === 'running') throw new IdempotencyInProgress();
    if (row.state === 'unknown') throw new IdempotencyOutcomeUnknown();
    const headers = JSON.parse(row.headers) as KeptAnswer['headers'];
    const body = headers['Cache-Control'] === NO_STORE ? opened(claim, row.body) : row.body;
    return { status: Number(row.status), headers, body };
  }

  /** Keeps the answer; before it is sent, so that whoever has it gets it again. */
  async answer(claim: RequestClaim, { status, headers, body }: KeptAnswer): Promise<void> {
    await this.statements.run(ANSWER_KEY, [...settled(claim), status, JSON.stringify(headers), body]);
  }

  /** The request may or may not have been done. */
  async doubt(claim: RequestClaim): Promise<void> {
    await this.statements.run(DOUBT_KEY, settled(claim));
  }

  /** Nothing was done: the key is free again. */
  async release(claim: RequestClaim): Promise<void> {
    await this.statements.run(RELEASE_KEY, settled(claim));
  }

  /** Forgets what has expired; what an abort leaves is for the next time. */
  async purge(signal?: AbortSignal): Promise<void> {
    for (let removed = PURGE_BATCH; removed === PURGE_BATCH && !signal?.aborted;)
      removed = (await this.statements.run(PURGE_KEYS, [PURGE_BATCH])).length;
  }

  private async refuseTooMany(principalId: string): Promise<void> {
    const [row] = await this.statements.run<{ count: string }>(COUNT_KEYS, [principalId, MAX_KEYS]);
    if (Number(row.count) >= MAX_KEYS) throw new TooManyIdempotencyKeys(MAX_KEYS);
  }
}

/** @throws {IdempotencyOutcomeUnknown} for what was sealed under another secret of the server */
function opened(claim: RequestClaim, body: string): string {
  try {
    return unseal(claim.sealingKey, body);
  } catch {
    throw new IdempotencyOutcomeUnknown();
  }
}

const settled = ({ principalId, keyHash, id }: RequestClaim): StatementValue[] => [principalId, keyHash, id];

/** A string of RFC 8941, section 3.3.3; or without quotes, as many clients send it. */
function parseKey(header: string): string {
  const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(header.trim())?.[1];
  const key = quoted === undefined ? header.trim() : quoted.replaceAll(/\\(.)/g, '$1');
  const wellFormed = quoted === undefined ? /^[\x21\x23-\x7e]+$/.test(key) : key !== '';
  if (!wellFormed || key.length > 255) throw new InvalidIdempotencyKey();
  return key;
}
