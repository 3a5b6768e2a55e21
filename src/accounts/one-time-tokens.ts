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
    await manager.query(
      `INSERT INTO one_time_tokens (hash, purpose, subject, data, expires_at)
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
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();
