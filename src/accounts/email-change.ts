import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { EntityManager, Repository } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { ValidationFailed } from '../common/problem.js';
import { isUniqueViolation } from '../database/errors.js';
import { Transactions } from '../database/transactions.js';
import { Mailer } from '../mail/mailer.js';
import { PublicLinks } from '../mail/public-links.js';
import {
  addressChanged,
  addressChangeRequested,
  alreadyRegistered,
  confirmNewAddress,
} from './account-mails.js';
import { EmailTaken, InvalidMailedToken, TooManyMails } from './accounts.errors.js';
import { normaliseEmail } from './email.js';
import { OneTimeTokens, type TokenPurpose } from './one-time-tokens.js';
import { OwnPassword } from './own-password.js';
import { User } from './user.entity.js';

/** Void once the password has changed: that stops a change which somebody else asked for. */
const CHANGE: TokenPurpose<{ email: string; credentialsVersion: number }> = {
  name: 'change-email',
  ttlSeconds: 3_600,
};
const REQUESTED = 'email.change.requested';
const REQUESTS_PER_HOUR = 5;

/** Moving an account to another address. */
@Injectable()
export class EmailChange {
  constructor(
    @InjectRepository(User) private readonly users: Repository<User>,
    private readonly transactions: Transactions,
    private readonly tokens: OneTimeTokens,
    private readonly ownPassword: OwnPassword,
    private readonly mailer: Mailer,
    private readonly links: PublicLinks,
    private readonly audit: AuditTrail,
  ) {}

  /**
   * Sends a link to the new address and tells the old one. The answer does not say whether the new one has an
   * account; its owner is told instead of being sent a link. A newer request replaces an older one.
   * @throws {import('./accounts.errors.js').WrongPassword}
   * @throws {import('./accounts.errors.js').PasswordNotSet}
   * @throws {ValidationFailed} if it is the address already
   * @throws {TooManyMails} after five within an hour
   */
  async request(principal: Principal, address: string, password: string, client: ClientInfo): Promise<void> {
    const user = await this.ownPassword.confirm(principal, password, client);
    const email = normaliseEmail(address);
    if (email === user.email)
      throw new ValidationFailed([{ pointer: '/email', detail: 'is the address already' }]);
    const taken = await this.users.existsBy({ email });
    const token = await this.transactions.run(async (manager) => {
      await this.refuseTooMany(manager, user.id);
      await this.audit.record(
        { action: REQUESTED, client, userId: user.id, principalId: user.id, detail: { to: email } },
        manager,
      );
      const { id, credentialsVersion } = user;
      return this.tokens.issue(CHANGE, id, { email, credentialsVersion }, { manager });
    });
    const toNew = taken
      ? alreadyRegistered()
      : confirmNewAddress(this.links.withToken('/confirm-email', token));
    await this.mailer.send({ to: email, ...toNew });
    await this.mailer.send({ to: user.email, ...addressChangeRequested(email) });
  }

  /**
   * Makes the new address the account's, and tells both.
   * @throws {InvalidMailedToken}
   * @throws {EmailTaken} if it belongs to another account by now
   */
  async confirm(token: string, client: ClientInfo): Promise<void> {
    try {
      const { from, to } = await this.transactions.run((manager) => this.use(manager, token, client));
      const notice = addressChanged(from, to);
      await this.mailer.send({ to: from, ...notice });
      await this.mailer.send({ to, ...notice });
    } catch (error) {
      if (isUniqueViolation(error, 'users_email_key')) throw new EmailTaken();
      throw error;
    }
  }

  private async use(
    manager: EntityManager,
    token: string,
    client: ClientInfo,
  ): Promise<{ from: string; to: string }> {
    const used = await this.tokens.use(CHANGE, token, manager);
    if (!used) throw new InvalidMailedToken();
    const { subject: id, data } = used;
    const user = await manager.findOne(User, {
      where: { id, credentialsVersion: data.credentialsVersion },
      lock: { mode: 'pessimistic_write' },
    });
    if (!user || user.disabledAt) throw new InvalidMailedToken();
    await manager.query(
      `UPDATE users SET email = $2, email_verified_at = now(), version = version + 1, updated_at = now()
       WHERE id = $1`,
      [id, data.email],
    );
    const detail = { from: user.email, to: data.email };
    await this.audit.record(
      { action: 'email.changed', client, userId: id, principalId: id, detail },
      manager,
    );
    return detail;
  }

  private async refuseTooMany(manager: EntityManager, userId: string): Promise<void> {
    const recent = await manager.query<unknown[]>(
      `SELECT 1 FROM audit_entries
       WHERE user_id = $1 AND action = $2 AND created_at > now() - interval '1 hour' LIMIT $3`,
      [userId, REQUESTED, REQUESTS_PER_HOUR],
    );
    if (recent.length >= REQUESTS_PER_HOUR) throw new TooManyMails();
  }
}
