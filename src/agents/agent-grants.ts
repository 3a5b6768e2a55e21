import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Transactions } from '../database/transactions.js';
import { SessionRevocations } from '../sessions/session-revocations.js';

/** To be called after the commit. */
export type AfterCommit = () => void;

/** What is to end then; null: never. */
interface Ending {
  readonly session_id: string;
  readonly expires_at: string | null;
}

const RENEW = `
  WITH old AS MATERIALIZED (
    SELECT c.id, c.session_id FROM agent_credentials c
    WHERE c.agent_id = ANY ($1::uuid[]) AND ($2::uuid IS NULL OR c.id = $2) ORDER BY c.id FOR NO KEY UPDATE
  )
  UPDATE agent_credentials c SET session_id = gen_random_uuid() FROM old WHERE c.id = old.id
  RETURNING old.session_id`;

/** The access tokens that agents were given: ended on every instance within a second, with their sockets. */
@Injectable()
export class AgentGrants {
  constructor(
    private readonly revocations: SessionRevocations,
    private readonly transactions: Transactions,
  ) {}

  /**
   * Ends every access token of some agents, or what one credential has given, in the caller's transaction. The
   * credentials are as good as before: by them, there are new tokens.
   */
  async end(
    manager: EntityManager,
    agentIds: readonly string[],
    credentialId: string | null = null,
  ): Promise<AfterCommit> {
    const [old] = await manager.query<[{ session_id: string }[], number]>(RENEW, [agentIds, credentialId]);
    const ids = old.map(({ session_id: id }) => id);
    await this.revocations.endGrants(manager, ids);
    return () => ids.forEach((id) => this.revocations.revoke(id));
  }

  /** Ends what one credential has given when that ends itself, in the transaction that settles it. */
  async endWith(manager: EntityManager, { session_id: id, expires_at: end }: Ending): Promise<void> {
    await this.revocations.endGrantAt(manager, id, end);
  }

  /** Ends one access token, with its sockets. @param tokenId its `jti` */
  async endToken(tokenId: string): Promise<void> {
    await this.transactions.run((manager) => this.revocations.endGrants(manager, [tokenId]));
    this.revocations.revoke(tokenId);
  }
}
