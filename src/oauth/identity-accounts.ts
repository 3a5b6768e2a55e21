import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccountsService } from '../accounts/accounts.service.js';
import { parseEmail } from '../accounts/email.js';
import { User } from '../accounts/user.entity.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { isUniqueViolation } from '../database/errors.js';
import { Transactions } from '../database/transactions.js';
import { SessionRevoked } from '../sessions/sessions.errors.js';
import { Identity } from './identity.entity.js';
import {
  AccountUnverified,
  IdentityTaken,
  ProviderAddressUnverified,
  ProviderAnswerInvalid,
} from './oauth.errors.js';
import type { ProviderProfile } from './sign-in-provider.js';

/** An identity with the account that it opens. */
export interface OpenedAccount {
  readonly user: User;
  readonly identityId: string;
}

/** OpenID Connect Core, section 2: a subject has at most 255 ASCII characters. */
const SUBJECT = /^[\x20-\x7e]{1,255}$/;

/** From who somebody is at a provider to the account that is theirs. */
@Injectable()
export class IdentityAccounts {
  constructor(
    private readonly transactions: Transactions,
    private readonly accounts: AccountsService,
    private readonly audit: AuditTrail,
  ) {}

  /**
   * The account of an identity. One that comes for the first time joins the account that has its verified
   * address, if that account has proven the address itself; otherwise, a new account is created. An address that
   * either side did not prove joins nothing: an attacker may have registered it, and wait with a password.
   * @throws {AccountUnverified}
   * @throws {ProviderAddressUnverified}
   * @throws {import('../accounts/accounts.errors.js').InvalidCredentials} if the account is disabled
   */
  async open(provider: string, profile: ProviderProfile, client: ClientInfo): Promise<OpenedAccount> {
    return this.settled((manager) => this.find(manager, provider, profile, client));
  }

  /**
   * Gives an identity to somebody who is logged in. Addresses play no part: who holds both proofs may join them.
   * @param sessionId in which it was asked for; it must be alive still
   * @throws {SessionRevoked}
   * @throws {IdentityTaken}
   */
  async link(
    provider: string,
    profile: ProviderProfile,
    { userId, sessionId }: { readonly userId: string; readonly sessionId: string },
    client: ClientInfo,
  ): Promise<void> {
    await this.settled(async (manager) => {
      const alive = await manager.query<unknown[]>(
        `SELECT 1 FROM users u JOIN sessions s ON s.user_id = u.id
         WHERE u.id = $1 AND s.id = $2 AND u.disabled_at IS NULL AND s.revoked_at IS NULL AND s.expires_at > now()
         FOR UPDATE OF u FOR SHARE OF s`,
        [userId, sessionId],
      );
      if (alive.length === 0) throw new SessionRevoked();
      const { issuer, subject } = profile;
      const known = await manager.findOneBy(Identity, { issuer, subject });
      if (!known) await this.insert(manager, provider, profile, userId, client);
      else if (known.userId !== userId) throw new IdentityTaken();
    });
  }

  /** Somebody else may add the same account or identity at this moment: the next look finds it. */
  private async settled<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    try {
      return await this.transactions.run(work);
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      return this.transactions.run(work);
    }
  }

  private async find(
    manager: EntityManager,
    provider: string,
    profile: ProviderProfile,
    client: ClientInfo,
  ): Promise<OpenedAccount> {
    const { issuer, subject } = profile;
    const known = await manager.findOneBy(Identity, { issuer, subject });
    if (known)
      return {
        user: await manager.findOneByOrFail(User, { id: known.userId }),
        identityId: known.id,
      };
    const email = profile.verifiedEmail === null ? undefined : parseEmail(profile.verifiedEmail);
    if (email === undefined) throw new ProviderAddressUnverified();
    const user = await this.accountWith(manager, email, profile.name);
    return { user, identityId: await this.insert(manager, provider, profile, user.id, client) };
  }

  private async accountWith(manager: EntityManager, email: string, name: string | null): Promise<User> {
    // Locked: an address that changes its owner now is not joined by the old one's proof.
    const existing = await manager.findOne(User, { where: { email }, lock: { mode: 'pessimistic_write' } });
    if (!existing) return this.accounts.createProven(manager, { email, name });
    this.accounts.refuseDisabled(existing);
    if (!existing.emailVerifiedAt) throw new AccountUnverified();
    return existing;
  }

  /** @returns the new identity's id */
  private async insert(
    manager: EntityManager,
    provider: string,
    { issuer, subject, email }: ProviderProfile,
    userId: string,
    client: ClientInfo,
  ): Promise<string> {
    if (!SUBJECT.test(subject)) throw new ProviderAnswerInvalid();
    const id = newId();
    const shown = email === null ? null : (parseEmail(email) ?? null);
    await manager.insert(Identity, { id, userId, provider, issuer, subject, email: shown });
    await this.audit.record(
      {
        action: 'identity.linked',
        client,
        userId,
        principalId: userId,
        detail: { identityId: id, provider, issuer },
      },
      manager,
    );
    return id;
  }
}
