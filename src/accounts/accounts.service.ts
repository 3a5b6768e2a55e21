import { Injectable, Logger } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { EntityManager, Repository } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import { type ClientInfo, OPERATOR } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { Unauthenticated } from '../common/problem.js';
import { reasonOf } from '../common/reason.js';
import { Representation } from '../common/representation.js';
import { isUniqueViolation } from '../database/errors.js';
import { Transactions } from '../database/transactions.js';
import { AccountCreation } from './account-creation.js';
import { toUserResponse, type UserResponse } from './accounts.dto.js';
import { EmailTaken, InvalidCredentials } from './accounts.errors.js';
import { normaliseEmail } from './email.js';
import { Passwords } from './passwords.js';
import { SignOuts } from './sign-outs.js';
import { User } from './user.entity.js';

interface NewAccount {
  readonly email: string;
  readonly name: string | null;
  readonly passwordHash: string | null;
  readonly isVerified?: boolean;
}

/** Accounts: creating them, proving that one is yours, reading your own. */
@Injectable()
export class AccountsService {
  private readonly logger = new Logger(AccountsService.name);

  constructor(
    @InjectRepository(User) private readonly users: Repository<User>,
    private readonly transactions: Transactions,
    private readonly passwords: Passwords,
    private readonly creation: AccountCreation,
    private readonly signOuts: SignOuts,
    private readonly audit: AuditTrail,
  ) {}

  /**
   * Creates an account with everything that belongs to it.
   * @throws {EmailTaken}
   * @throws {import('../common/problem.js').ValidationFailed} if the password is too easy to guess
   */
  async create(input: { email: string; password: string; name?: string | null }): Promise<User> {
    const email = normaliseEmail(input.email);
    await this.passwords.refuseWeak(input.password, email, '/password');
    const passwordHash = await this.passwords.hash(input.password);
    const account = { email, name: input.name ?? null, passwordHash };
    return this.transactions.run((manager) => this.store(manager, account));
  }

  /**
   * Stores an account with everything that belongs to it, in the caller's transaction.
   * @param account its address normalised, and maybe proven already
   * @throws {EmailTaken}
   */
  async store(manager: EntityManager, { isVerified = false, ...account }: NewAccount): Promise<User> {
    const id = newId();
    try {
      const emailVerifiedAt = isVerified ? () => 'now()' : null;
      await manager.insert(User, { id, ...account, emailVerifiedAt });
    } catch (error) {
      if (isUniqueViolation(error, 'users_email_key')) throw new EmailTaken();
      throw error;
    }
    const user = await manager.findOneByOrFail(User, { id });
    await this.creation.run(manager, user);
    return user;
  }

  /** Whether an account has this address, which must be normalised. */
  async exists(email: string): Promise<boolean> {
    return this.users.existsBy({ email });
  }

  /**
   * Creates an account without a password, for somebody whose address is proven already, in the caller's
   * transaction. If there is one with this address, the unique constraint `users_email_key` says so.
   * @param email in its normal spelling
   */
  async createProven(
    manager: EntityManager,
    { email, name }: { readonly email: string; readonly name: string | null },
  ): Promise<User> {
    const id = newId();
    await manager.query(`INSERT INTO users (id, email, name, email_verified_at) VALUES ($1, $2, $3, now())`, [
      id,
      email,
      name,
    ]);
    const user = await manager.findOneByOrFail(User, { id });
    await this.creation.run(manager, user);
    return user;
  }

  /**
   * The account behind an address and a password. Unknown and known addresses take the same time.
   * @throws {InvalidCredentials}
   */
  async authenticate(email: string, password: string): Promise<User> {
    const user = await this.users.findOneBy({ email: normaliseEmail(email) });
    const matches = await this.passwords.matches(user?.passwordHash ?? undefined, password);
    if (!matches || !user) throw new InvalidCredentials(user?.id);
    await this.renewHash(user, password);
    return user;
  }

  /**
   * A disabled account is answered like a wrong password: only its owner would have known the right one.
   * @throws {InvalidCredentials}
   */
  refuseDisabled(user: User): void {
    if (user.disabledAt) throw new InvalidCredentials(user.id);
  }

  /** The account with this id, if there is one. */
  async find(id: string): Promise<User | null> {
    return this.users.findOneBy({ id });
  }

  /** The caller's own account. */
  async me(principal: Principal): Promise<Representation<UserResponse>> {
    const user = await this.users.findOneBy({ id: principal.id });
    if (!user) throw new Unauthenticated('This account is gone.');
    return Representation.of(toUserResponse(user), { version: user.version });
  }

  /**
   * Closes an account: nobody can sign in to it, and its sessions end on every instance within a second.
   * @param client who asked for it
   * @returns whether there is such an account
   */
  async disable(userId: string, client: ClientInfo = OPERATOR): Promise<boolean> {
    const tell = await this.transactions.run(async (manager) => {
      const [, found] = await manager.query<[unknown[], number]>(
        `UPDATE users SET disabled_at = COALESCE(disabled_at, now()) WHERE id = $1`,
        [userId],
      );
      if (found === 0) return undefined;
      await this.audit.record({ action: 'account.disabled', client, userId }, manager);
      return this.signOuts.run(manager, { userId, reason: 'account-disabled', client });
    });
    tell?.();
    return tell !== undefined;
  }

  /** Opens a disabled account again; its sessions stay ended. @returns whether there is such an account */
  async enable(userId: string, client: ClientInfo = OPERATOR): Promise<boolean> {
    return this.transactions.run(async (manager) => {
      const [, found] = await manager.query<[unknown[], number]>(
        `UPDATE users SET disabled_at = NULL WHERE id = $1`,
        [userId],
      );
      if (found > 0) await this.audit.record({ action: 'account.enabled', client, userId }, manager);
      return found > 0;
    });
  }

  /** Hashes a password anew whose hash was made with less effort than is usual now. The login does not depend on it. */
  private async renewHash(user: User, password: string): Promise<void> {
    if (user.passwordHash === null || !this.passwords.isOutdated(user.passwordHash)) return;
    try {
      await this.users.update(
        { id: user.id, passwordHash: user.passwordHash },
        { passwordHash: await this.passwords.hash(password) },
      );
    } catch (error) {
      this.logger.warn(`A hash could not be renewed: ${reasonOf(error)}`);
    }
  }
}
