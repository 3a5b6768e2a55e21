import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { Unauthenticated } from '../common/problem.js';
import { Transactions } from '../database/transactions.js';
import { Mailer } from '../mail/mailer.js';
import { PublicLinks } from '../mail/public-links.js';
import { confirmAddress } from './account-mails.js';
import { InvalidMailedToken, TooManyMails } from './accounts.errors.js';
import { OneTimeTokens, type TokenPurpose } from './one-time-tokens.js';
import { User } from './user.entity.js';

/** Proves one address: it is void once the account has another. */
const VERIFY: TokenPurpose<{ email: string }> = { name: 'verify-email', ttlSeconds: 86_400 };
const MAILS_PER_HOUR = 5;

/** Proving that the address of an account is the person's. */
@Injectable()
export class EmailVerification {
  constructor(
    @InjectRepository(User) private readonly users: Repository<User>,
    private readonly transactions: Transactions,
    private readonly tokens: OneTimeTokens,
    private readonly mailer: Mailer,
    private readonly links: PublicLinks,
    private readonly audit: AuditTrail,
  ) {}

  /** Sends the link that proves the account's address. */
  async sendTo(user: User): Promise<void> {
    const { id, email } = user;
    const token = await this.tokens.issue(VERIFY, id, { email }, { replace: false });
    await this.mailer.send({ to: email, ...confirmAddress(this.links.withToken('/verify-email', token)) });
  }

  /**
   * Sends it again, unless the address is proven.
   * @throws {TooManyMails} after five within an hour
   */
  async resend(principal: Principal): Promise<void> {
    const user = await this.users.findOneBy({ id: principal.id });
    if (!user) throw new Unauthenticated('This account is gone.');
    if (user.emailVerifiedAt) return;
    if ((await this.tokens.countRecent(VERIFY, user.id)) >= MAILS_PER_HOUR) throw new TooManyMails();
    await this.sendTo(user);
  }

  /** @throws {InvalidMailedToken} */
  async verify(token: string, client: ClientInfo): Promise<void> {
    await this.transactions.run(async (manager) => {
      const used = await this.tokens.use(VERIFY, token, manager);
      if (!used) throw new InvalidMailedToken();
      const { subject: userId, data } = used;
      const [, found] = await manager.query<[unknown[], number]>(
        `UPDATE users SET email_verified_at = COALESCE(email_verified_at, now()), version = version + 1,
           updated_at = now()
         WHERE id = $1 AND email = $2 AND disabled_at IS NULL`,
        [userId, data.email],
      );
      if (found === 0) throw new InvalidMailedToken();
      await this.tokens.revoke(VERIFY, userId, manager);
      await this.audit.record({ action: 'email.verified', client, userId, principalId: userId }, manager);
    });
  }
}
