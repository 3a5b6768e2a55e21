import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccountReclaim } from '../accounts/account-reclaim.js';
import { SignInMethods } from '../accounts/sign-in-methods.js';
import { User } from '../accounts/user.entity.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { decodePageCursor, DEFAULT_LIMIT, pageOf, type PageQuery } from '../common/pagination.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { Transactions } from '../database/transactions.js';
import { type IdentityList, type IdentityRow, toIdentityResponse } from './identities.dto.js';
import { Identity } from './identity.entity.js';
import { IdentityNotFound } from './oauth.errors.js';

const LIST: Statement = {
  name: 'identities.list',
  text: `SELECT id, provider, issuer, email, created_at FROM identities
    WHERE user_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3`,
};

/** What people do with their own identities. */
@Injectable()
export class IdentitiesService implements OnModuleInit {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly transactions: Transactions,
    private readonly reclaim: AccountReclaim,
    private readonly methods: SignInMethods,
    private readonly audit: AuditTrail,
  ) {}

  onModuleInit(): void {
    this.methods.add((manager, userId) => manager.countBy(Identity, { userId }));
    // Whoever held an address in advance may have linked an identity to come back by.
    this.reclaim.add(async (manager, { id: userId }) => {
      await manager.delete(Identity, { userId });
    });
  }

  /** The caller's identities, oldest first. */
  async list(principal: Principal, query: PageQuery): Promise<IdentityList> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const rows = await this.statements.run<IdentityRow>(LIST, [
      principal.id,
      decodePageCursor(query.cursor),
      limit + 1,
    ]);
    return pageOf(rows, limit, toIdentityResponse, ({ id }) => id);
  }

  /**
   * Takes an identity from the caller's account. Sessions that it opened go on.
   * @throws {IdentityNotFound}
   * @throws {import('../accounts/accounts.errors.js').LastSignInMethod}
   */
  async unlink(principal: Principal, id: string, client: ClientInfo): Promise<void> {
    const userId = principal.id;
    await this.transactions.run(async (manager) => {
      // Locked: of two who unlink at once, the second counts what the first has left.
      const user = await manager.findOne(User, {
        where: { id: userId },
        lock: { mode: 'pessimistic_write' },
      });
      const identity = user && (await manager.findOneBy(Identity, { id, userId }));
      if (!identity) throw new IdentityNotFound();
      await this.methods.refuseLast(manager, user);
      await manager.delete(Identity, { id });
      const { provider, issuer } = identity;
      await this.audit.record(
        {
          action: 'identity.unlinked',
          client,
          userId,
          principalId: userId,
          detail: { identityId: id, provider, issuer },
        },
        manager,
      );
    });
  }

  /** The account behind an identity, if it still is this user's. */
  async owner(manager: EntityManager, identityId: string, userId: string): Promise<User | null> {
    const isLinked = await manager.existsBy(Identity, { id: identityId, userId });
    return isLinked ? manager.findOneBy(User, { id: userId }) : null;
  }
}
