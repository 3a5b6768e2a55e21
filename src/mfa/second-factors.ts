import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccountReclaim } from '../accounts/account-reclaim.js';
import { type AfterCommit, SignOuts } from '../accounts/sign-outs.js';
import { User } from '../accounts/user.entity.js';
import { type AuditEvent, AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { Unauthenticated } from '../common/problem.js';
import { Transactions } from '../database/transactions.js';
import { Mailer } from '../mail/mailer.js';
import type { Notice } from './mfa-mails.js';
import { Passkey } from './passkey.entity.js';
import { RecoveryCode } from './recovery-code.entity.js';
import { factorsOf, type Factors } from './second-factors.sql.js';
import { TotpFactor } from './totp-factor.entity.js';

/** A change of an account's factors, while the account is locked. */
export interface FactorChange<T> {
  readonly answer: T;
  readonly action: string;
  readonly detail?: AuditEvent['detail'];
  readonly notice?: Notice;
  /** Why the other sessions end; left out if they go on. */
  readonly ends?: string;
}

/** The second factors of accounts as a whole. */
@Injectable()
export class SecondFactors implements OnModuleInit {
  constructor(
    private readonly transactions: Transactions,
    private readonly reclaim: AccountReclaim,
    private readonly signOuts: SignOuts,
    private readonly mailer: Mailer,
    private readonly audit: AuditTrail,
  ) {}

  onModuleInit(): void {
    // Whoever held an address in advance must not keep its owner out by a second factor, nor come back by one.
    this.reclaim.add(async (manager, { id }) => {
      await removeAll(manager, id);
    });
  }

  /**
   * Changes what factors the caller's account has, recorded and told by mail. The account is locked meanwhile, so
   * that changes at the same time see each other. Where sessions end, proofs that are under way are void, too:
   * a password that was shown while there was no second factor opens nothing any more.
   */
  async change<T>(
    { id: userId, sessionId }: Principal,
    client: ClientInfo,
    work: (manager: EntityManager, user: User, before: Factors) => Promise<FactorChange<T>>,
  ): Promise<T> {
    const { user, change, tell } = await this.transactions.run(async (manager) => {
      const user = await manager.findOne(User, {
        where: { id: userId },
        lock: { mode: 'pessimistic_write' },
      });
      if (!user) throw new Unauthenticated('This account is gone.');
      const change = await work(manager, user, await factorsOf(manager, userId));
      const { action, detail, ends } = change;
      await this.audit.record({ action, client, userId, principalId: userId, detail }, manager);
      let tell: AfterCommit = () => undefined;
      if (ends !== undefined) {
        await manager.query(`UPDATE users SET credentials_version = credentials_version + 1 WHERE id = $1`, [
          userId,
        ]);
        tell = await this.signOuts.run(manager, { userId, reason: ends, exceptSessionId: sessionId, client });
      }
      return { user, change, tell };
    });
    tell();
    if (change.notice) await this.mailer.send({ to: user.email, ...change.notice });
    return change.answer;
  }

  /** Recovery codes stand in for factors: they go with the last one. */
  async dropCodesOfNothing(manager: EntityManager, userId: string): Promise<void> {
    const { methods } = await factorsOf(manager, userId);
    if (methods.length === 0) await removeAll(manager, userId);
  }
}

async function removeAll(manager: EntityManager, userId: string): Promise<void> {
  for (const factor of [TotpFactor, Passkey, RecoveryCode]) await manager.delete(factor, { userId });
}
