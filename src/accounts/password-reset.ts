import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsNull, type EntityManager, type Repository } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { Transactions } from '../database/transactions.js';
import { Mailer } from '../mail/mailer.js';
import { PublicLinks } from '../mail/public-links.js';
import { passwordWasReset, resetPassword } from './account-mails.js';
import { AccountReclaim } from './account-reclaim.js';
import { InvalidMailedToken, WrongPassword } from './accounts.errors.js';
import { normaliseEmail } from './email.js';
import { OneTimeTokens, type TokenPurpose } from './one-time-tokens.js';
import { OwnPassword } from './own-password.js';
import { Passwords } from './passwords.js';
import type { AfterCommit } from './sign-outs.js';
import { User } from './user.entity.js';

/** Void once the address or the password has changed by other means. */
const RESET: TokenPurpose<{ email: string; credentialsVersion: number }> = {
  name: 'reset-password',
  ttlSeconds: 1_800,
};
/** Takes the place of a real one where there is no account; nobody is ever sent it. */
const DECOY: TokenPurpose<null> = { name: 'decoy', ttlSeconds: 0 };
/** Links that are alive at the same time. Earlier ones stay good: a stranger's request takes none away. */
const LIVING_LINKS = 5;

/** A new password for whoever reads the account's mail. */
@Injectable()
export class PasswordReset {
  constructor(
    @InjectRepository(User) private readonly users: Repository<User>,
    private readonly transactions: Transactions,
    private readonly tokens: OneTimeTokens,
    private readonly passwords: Passwords,
    private readonly ownPassword: OwnPassword,
    private readonly reclaim: AccountReclaim,
    private readonly mailer: Mailer,
    private readonly links: PublicLinks,
    private readonly audit: AuditTrail,
  ) {}

  /**
   * Sends a link if there is such an account. Known and unknown addresses take the same statements, so that
   * neither answer nor time tells which it was.
   */
  async request(address: string, client: ClientInfo): Promise<void> {
    const user = await this.users.findOneBy({ email: normaliseEmail(address), disabledAt: IsNull() });
    const subject = user?.id ?? newId();
    const enough = (await this.tokens.countRecent(RESET, subject)) >= LIVING_LINKS;
    if (!user || enough) {
      await this.tokens.issue(DECOY, subject, null, { replace: false });
      await this.tokens.issue(DECOY, subject, null, { replace: false });
      return;
    }
    const { id, email, credentialsVersion } = user;
    const token = await this.tokens.issue(RESET, id, { email, credentialsVersion }, { replace: false });
    await this.audit.record({ action: 'password.reset.requested', client, userId: id });
    await this.mailer.send({ to: email, ...resetPassword(this.links.withToken('/reset-password', token)) });
  }

  /**
   * Sets the password, ends every session and counts as a proof of the address. Of an account that was never
   * verified it removes what a squatter may have set up. A password that is refused leaves the link good.
   * @throws {InvalidMailedToken}
   * @throws {import('../common/problem.js').ValidationFailed} if the password is too easy to guess
   */
  async reset(token: string, newPassword: string, client: ClientInfo): Promise<void> {
    const offered = await this.tokens.peek(RESET, token);
    if (!offered) throw new InvalidMailedToken();
    await this.passwords.refuseWeak(newPassword, offered.data.email, '/newPassword');
    const passwordHash = await this.passwords.hash(newPassword);
    const tell = await this.transactions.run((manager) => this.use(manager, token, passwordHash, client));
    tell();
    await this.mailer.send({ to: offered.data.email, ...passwordWasReset() });
  }

  private async use(
    manager: EntityManager,
    token: string,
    passwordHash: string,
    client: ClientInfo,
  ): Promise<AfterCommit> {
    const used = await this.tokens.use(RESET, token, manager);
    if (!used) throw new InvalidMailedToken();
    const { subject: id, data } = used;
    const user = await manager.findOneBy(User, { id, email: data.email, disabledAt: IsNull() });
    if (!user) throw new InvalidMailedToken();
    if (!user.emailVerifiedAt) await this.reclaim.run(manager, user);
    await this.tokens.revoke(RESET, id, manager);
    await this.audit.record({ action: 'password.reset', client, userId: id, principalId: id }, manager);
    await manager.query(
      `UPDATE users SET email_verified_at = COALESCE(email_verified_at, now()), version = version + 1,
         updated_at = now() WHERE id = $1`,
      [id],
    );
    return this.replace(manager, id, data.credentialsVersion, passwordHash, client);
  }

  private async replace(
    manager: EntityManager,
    userId: string,
    credentialsVersion: number,
    passwordHash: string,
    client: ClientInfo,
  ): Promise<AfterCommit> {
    try {
      return await this.ownPassword.replace(manager, {
        userId,
        credentialsVersion,
        passwordHash,
        ends: 'all',
        client,
      });
    } catch (error) {
      // The password was changed after the link was sent.
      if (error instanceof WrongPassword) throw new InvalidMailedToken();
      throw error;
    }
  }
}
