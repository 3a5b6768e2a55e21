import { Injectable } from '@nestjs/common';
import { createHash, randomBytes } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import { OneTimeToken } from './one-time-token.entity.js';

/** A purpose, typed by what its tokens remember. */
export interface TokenPurpose<Data> {
  readonly name: string;
  readonly ttlSeconds: number;
  /** Only carries the type. */
  readonly data?: Data;
}

export interface UsedToken<Data> {
  readonly subject: string;
  readonly data: Data;
}

/**
 * Tokens that travel by mail or redirect: 256 random bits, kept as a hash, good once and for a limited time.
 */
@Injectable()
export class OneTimeTokens {
  constructor(private readonly database: DataSource) {}

  /**
   * Makes a token.
   * @param replace whether earlier tokens of the same purpose and subject stop working
   * @returns the token, 43 characters that are safe in a URL
   */
  async issue<Data>(
    purpose: TokenPurpose<Data>,
    subject: string,
    data: Data,
    { replace = true, manager = this.database.manager }: { replace?: boolean; manager?: EntityManager } = {},
  ): Promise<string> {
    const token = randomBytes(32).toString('base64url');
    if (replace) await manager.delete(OneTimeToken, { purpose: purpose.name, subject });
    // Takes some expired ones along, so that they never pile up.
    await manager.query(
      `WITH expired AS (
         DELETE FROM one_time_tokens WHERE hash IN (
           SELECT hash FROM one_time_tokens WHERE expires_at < now() LIMIT 10 FOR UPDATE SKIP LOCKED))
       INSERT INTO one_time_tokens (hash, purpose, subject, data, expires_at)
       VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))`,
      [hashOf(token), purpose.name, subject, JSON.stringify(data), purpose.ttlSeconds],
    );
    return token;
  }

  /**
   * Uses a token up, in one statement: of two who try at once, one succeeds.
   * @returns what it remembered; `undefined` if it is unknown, of another purpose, used or too old
   */
  async use<Data>(
    purpose: TokenPurpose<Data>,
    token: string,
    manager: EntityManager = this.database.manager,
  ): Promise<UsedToken<Data> | undefined> {
    const [rows] = await manager.query<[(UsedToken<Data> & { fresh: boolean })[], number]>(
      `DELETE FROM one_time_tokens WHERE hash = $1 AND purpose = $2
       RETURNING subject, data, expires_at > now() AS fresh`,
      [hashOf(token), purpose.name],
    );
    const [used] = rows;
    return used?.fresh ? { subject: used.subject, data: used.data } : undefined;
  }

  /**
   * Counts a try of a token that stays good for `limit` tries, of those at the same time, too.
   * @returns what it remembers; `undefined` as for {@link use}, and when it was tried too often
   */
  async attempt<Data>(
    purpose: TokenPurpose<Data>,
    token: string,
    limit: number,
  ): Promise<UsedToken<Data> | undefined> {
    const [rows] = await this.database.query<[UsedToken<Data>[], number]>(
      `UPDATE one_time_tokens SET attempts = attempts + 1
       WHERE hash = $1 AND purpose = $2 AND expires_at > now() AND attempts < $3 RETURNING subject, data`,
      [hashOf(token), purpose.name, limit],
    );
    return rows[0];
  }

  /** What a token remembers, without using it up; `undefined` as for {@link use}. */
  async peek<Data>(purpose: TokenPurpose<Data>, token: string): Promise<UsedToken<Data> | undefined> {
    const [found] = await this.database.query<UsedToken<Data>[]>(
      `SELECT subject, data FROM one_time_tokens WHERE hash = $1 AND purpose = $2 AND expires_at > now()`,
      [hashOf(token), purpose.name],
    );
    return found;
  }

  /** How many living tokens of this purpose and subject were made within an hour. */
  async countRecent(
    purpose: TokenPurpose<unknown>,
    subject: string,
    manager: EntityManager = this.database.manager,
  ): Promise<number> {
    const [{ count } = { count: 0 }] = await manager.query<{ count: number }[]>(
      `SELECT count(*)::int AS count FROM one_time_tokens
       WHERE purpose = $1 AND subject = $2 AND created_at > now() - interval '1 hour' AND expires_at > now()`,
      [purpose.name, subject],
    );
    return count;
  }

  /** Makes every token of this purpose and subject useless. */
  async revoke(purpose: TokenPurpose<unknown>, subject: string, manager: EntityManager): Promise<void> {
    await manager.delete(OneTimeToken, { purpose: purpose.name, subject });
  }
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();
