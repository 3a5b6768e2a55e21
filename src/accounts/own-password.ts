import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { EntityManager, Repository } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { Unauthenticated } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { Transactions } from '../database/transactions.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import { PasswordAttempts } from '../rate-limits/password-attempts.js';
import { PasswordNotSet, WrongPassword } from './accounts.errors.js';
import type { ChangePasswordRequest } from './me.dto.js';
import { Passwords } from './passwords.js';
import { type AfterCommit, SignOuts } from './sign-outs.js';
import { User } from './user.entity.js';

/** What takes the place of a password, and what ends with it. */
export interface PasswordReplacement {
  readonly userId: string;
  /** What the account's `credentialsVersion` was when the right to do this was proven. */
  readonly credentialsVersion: number;
  readonly passwordHash: string;
  /** `all`, all but one session, or none. */
  readonly ends: 'all' | 'none' | { readonly allBut: string };
  /** Whose request it is, to record the end of sessions. */
  readonly client?: ClientInfo;
}

/** A person's password, in the hands of that person: confirming and changing it. */
@Injectable()
export class OwnPassword {
  constructor(
    @InjectRepository(User) private readonly users: Repository<User>,
    private readonly transactions: Transactions,
    private readonly passwords: Passwords,
    private readonly attempts: PasswordAttempts,
    private readonly signOuts: SignOuts,
    private readonly audit: AuditTrail,
    private readonly kept: KeptAnswers,
  ) {}

  /**
   * Asks somebody who is logged in for the password again.
   * @returns the account whose password it is
   * @throws {WrongPassword}
   * @throws {import('../rate-limits/rate-limits.errors.js').TooManyAttempts}
   * @throws {PasswordNotSet} if the account signs in by other means only
   * @throws {Unauthenticated} if the account is gone
   */
  async confirm(principal: Principal, password: string, client: ClientInfo): Promise<User> {
    const user = await this.users.findOneBy({ id: principal.id });
    if (!user) throw new Unauthenticated('This account is gone.');
    const { id, email, passwordHash } = user;
    if (passwordHash === null) throw new PasswordNotSet();
    return this.attempts.run(email, client, WrongPassword, async () => {
      if (await this.passwords.matches(passwordHash, password)) return user;
      await this.audit.record({ action: 'password.refused', client, userId: id, principalId: id });
      throw new WrongPassword();
    });
  }

  /**
   * Changes the password and, unless told otherwise, ends the other sessions with it.
   * @throws as {@link confirm}
   */
  async change(principal: Principal, request: ChangePasswordRequest, client: ClientInfo): Promise<void> {
    const { currentPassword, newPassword, endOtherSessions = true } = request;
    const { id, email, credentialsVersion } = await this.confirm(principal, currentPassword, client);
    await this.passwords.refuseWeak(newPassword, email, '/newPassword');
    const passwordHash = await this.passwords.hash(newPassword);
    const tell = await this.transactions.run(async (manager) => {
      await this.audit.record(
        {
          action: 'password.changed',
          client,
          userId: id,
          principalId: id,
          detail: { sessionId: principal.sessionId, endedOtherSessions: endOtherSessions },
        },
        manager,
      );
      const afterCommit = await this.replace(manager, {
        userId: id,
        credentialsVersion,
        passwordHash,
        ends: endOtherSessions ? { allBut: principal.sessionId } : 'none',
        client,
      });
      await this.kept.keep(manager, principal, Representation.empty(), 204);
      return afterCommit;
    });
    tell();
  }

  /**
   * Puts a password in the place of another and ends sessions, in one transaction. A refresh or login that
   * races with it comes before, and its session ends here, or after, and is refused: the account's row is
   * locked first, the sessions' rows second.
   * @returns to be called after the commit
   * @throws {WrongPassword} if the password was changed since the right to do so was proven
   */
  async replace(manager: EntityManager, replacement: PasswordReplacement): Promise<AfterCommit> {
    const { userId, credentialsVersion, passwordHash, ends, client } = replacement;
    const [, changed] = await manager.query<[unknown[], number]>(
      `UPDATE users SET password_hash = $3, credentials_version = credentials_version + 1
       WHERE id = $1 AND credentials_version = $2`,
      [userId, credentialsVersion, passwordHash],
    );
    if (changed === 0) throw new WrongPassword();
    if (ends === 'none') return () => undefined;
    return this.signOuts.run(manager, {
      userId,
      reason: 'password-changed',
      client,
      exceptSessionId: ends === 'all' ? undefined : ends.allBut,
    });
  }
}
