import { Injectable } from '@nestjs/common';
import { v5 } from 'uuid';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import { AtriumConfig } from '../config/config.js';
import { Transactions } from '../database/transactions.js';
import { Mailer } from '../mail/mailer.js';
import { PublicLinks } from '../mail/public-links.js';
import { alreadyRegistered, confirmRegistration } from './account-mails.js';
import { InvalidCredentials, InvalidMailedToken } from './accounts.errors.js';
import { AccountsService } from './accounts.service.js';
import { normaliseEmail } from './email.js';
import { EmailVerification } from './email-verification.js';
import { OneTimeTokens, type TokenPurpose } from './one-time-tokens.js';
import { Passwords } from './passwords.js';
import type { User } from './user.entity.js';

export interface Registration {
  readonly email: string;
  readonly password: string;
  readonly name?: string | null;
}

interface PendingRegistration {
  email: string;
  name: string | null;
  passwordHash: string;
}

/** What a registration becomes until its address is proven; there is no account so far. */
const REGISTER: TokenPurpose<PendingRegistration> = { name: 'register', ttlSeconds: 86_400 };
/** Turns addresses into the subjects of their tokens. */
const ADDRESSES = '5f0c2f3e-6d3c-4f5e-9a0b-6a2f4a3f7c11';
const MAILS_PER_HOUR = 5;

/** How accounts come into being: at once, or when the address is proven (`REGISTRATION_CONFIRMATION`). */
@Injectable()
export class Registrations {
  constructor(
    private readonly config: AtriumConfig,
    private readonly accounts: AccountsService,
    private readonly verification: EmailVerification,
    private readonly passwords: Passwords,
    private readonly tokens: OneTimeTokens,
    private readonly mailer: Mailer,
    private readonly links: PublicLinks,
    private readonly transactions: Transactions,
    private readonly audit: AuditTrail,
  ) {}

  /**
   * @returns the account, or `undefined` when a mail decides
   * @throws {import('./accounts.errors.js').EmailTaken} never when a mail decides
   * @throws {import('../common/problem.js').ValidationFailed} if the password is too easy to guess
   */
  async register(registration: Registration): Promise<User | undefined> {
    if (this.config.registrationByMail) return this.request(registration);
    const user = await this.accounts.create(registration);
    await this.verification.sendTo(user);
    return user;
  }

  /**
   * Creates the account of a pending registration. The password is asked for again: following the link in a mail
   * that somebody else caused gives nobody an account with a password that somebody else knows.
   * @throws {InvalidMailedToken}
   * @throws {InvalidCredentials} if it is not the password of that registration
   * @throws {import('./accounts.errors.js').EmailTaken} if there is an account by now
   */
  async confirm(token: string, password: string, client: ClientInfo): Promise<User> {
    const pending = await this.tokens.peek(REGISTER, token);
    if (!pending) throw new InvalidMailedToken();
    const { email, name, passwordHash } = pending.data;
    if (!(await this.passwords.matches(passwordHash, password))) throw new InvalidCredentials();
    return this.transactions.run(async (manager) => {
      if (!(await this.tokens.use(REGISTER, token, manager))) throw new InvalidMailedToken();
      const user = await this.accounts.store(manager, { email, name, passwordHash, isVerified: true });
      await this.audit.record(
        { action: 'email.verified', client, userId: user.id, principalId: user.id },
        manager,
      );
      return user;
    });
  }

  /** The same hash, the same statements and one mail, whether there is an account or not. */
  private async request({ email: address, password, name = null }: Registration): Promise<undefined> {
    const email = normaliseEmail(address);
    await this.passwords.refuseWeak(password, email, '/password');
    const passwordHash = await this.passwords.hash(password);
    const subject = v5(email, ADDRESSES);
    const known = await this.accounts.exists(email);
    const recent = await this.tokens.countRecent(REGISTER, subject);
    const token = await this.tokens.issue(
      REGISTER,
      subject,
      { email, name, passwordHash },
      { replace: false },
    );
    if (recent >= MAILS_PER_HOUR) return;
    const text = known
      ? alreadyRegistered()
      : confirmRegistration(this.links.withToken('/confirm-registration', token));
    await this.mailer.send({ to: email, ...text });
  }
}
