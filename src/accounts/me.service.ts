import { Injectable } from '@nestjs/common';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import type { VersionCondition } from '../common/conditional.js';
import { Unauthenticated, VersionMismatch } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { Transactions } from '../database/transactions.js';
import { AccountDeletion } from './account-deletion.js';
import { toUserResponse, type UserResponse } from './accounts.dto.js';
import type { DeleteMeRequest, UpdateMeRequest } from './me.dto.js';
import { OwnPassword } from './own-password.js';
import { SignOuts } from './sign-outs.js';
import { User } from './user.entity.js';

/** What people do with their own account. */
@Injectable()
export class MeService {
  constructor(
    private readonly transactions: Transactions,
    private readonly ownPassword: OwnPassword,
    private readonly deletion: AccountDeletion,
    private readonly signOuts: SignOuts,
    private readonly audit: AuditTrail,
  ) {}

  /**
   * Changes what the person says about themselves.
   * @throws {VersionMismatch} if `ifMatch` does not hold
   * @throws {Unauthenticated} if the account is gone
   */
  async update(
    principal: Principal,
    patch: UpdateMeRequest,
    ifMatch: VersionCondition | undefined,
  ): Promise<Representation<UserResponse>> {
    const versions = ifMatch === '*' ? null : (ifMatch ?? null);
    return this.transactions.run(async (manager) => {
      const [, changed] = await manager.query<[unknown[], number]>(
        `UPDATE users SET name = CASE WHEN $2 THEN $3 ELSE name END, version = version + 1, updated_at = now()
         WHERE id = $1 AND ($4::int[] IS NULL OR version = ANY($4))`,
        [principal.id, patch.name !== undefined, patch.name ?? null, versions],
      );
      const user = await manager.findOneBy(User, { id: principal.id });
      if (!user) throw new Unauthenticated('This account is gone.');
      if (changed === 0) throw new VersionMismatch(user.version);
      return Representation.of(toUserResponse(user), { version: user.version });
    });
  }

  /**
   * Deletes the account with everything that is its alone, after its password was given again.
   * @throws {import('./accounts.errors.js').WrongPassword}
   * @throws {import('../common/problem.js').Problem} of whoever must stay while the account is needed
   */
  async delete(principal: Principal, { password }: DeleteMeRequest, client: ClientInfo): Promise<void> {
    const { id, credentialsVersion } = await this.ownPassword.confirm(principal, password, client);
    const tell = await this.transactions.run(async (manager) => {
      // Locked, so that nobody signs in to, or joins something by, an account that is about to go.
      const user = await manager.findOne(User, {
        where: { id, credentialsVersion },
        lock: { mode: 'pessimistic_write' },
      });
      if (!user) throw new Unauthenticated('This account is gone, or its password was changed.');
      const departed = await this.deletion.run(manager, user);
      await this.audit.record({ action: 'account.deleted', client, userId: id, principalId: id }, manager);
      const signedOut = await this.signOuts.run(manager, { userId: id, reason: 'account-deleted', client });
      await manager.delete(User, { id });
      return () => {
        signedOut();
        departed();
      };
    });
    tell();
  }
}
