import { Injectable } from '@nestjs/common';
import { InvalidCredentials } from '../accounts/accounts.errors.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { normaliseEmail } from '../accounts/email.js';
import { Registrations } from '../accounts/registrations.js';
import type { User } from '../accounts/user.entity.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import { Representation } from '../common/representation.js';
import { PasswordAttempts } from '../rate-limits/password-attempts.js';
import type {
  ConfirmRegistrationRequest,
  LoginRequest,
  RegisterRequest,
  RegistrationPending,
  SessionResponse,
  SignInChallenge,
} from './sessions.dto.js';
import { SessionsService } from './sessions.service.js';
import { SignInSteps } from './sign-in-steps.js';

/** From a proof of who somebody is to a session. */
@Injectable()
export class SignInService {
  constructor(
    private readonly accounts: AccountsService,
    private readonly registrations: Registrations,
    private readonly sessions: SessionsService,
    private readonly steps: SignInSteps,
    private readonly attempts: PasswordAttempts,
    private readonly audit: AuditTrail,
  ) {}

  /**
   * Logs a new account in, or answers 202 when a mail decides (`REGISTRATION_CONFIRMATION`).
   * @throws {import('../accounts/accounts.errors.js').EmailTaken} never when a mail decides
   */
  async register(
    { email, password, name }: RegisterRequest,
    client: ClientInfo,
  ): Promise<SessionResponse | Representation<RegistrationPending>> {
    const user = await this.registrations.register({ email, password, name });
    if (user) return this.open(user, ['pwd'], client);
    return Representation.of<RegistrationPending>({ confirmationRequired: true }, { status: 202 });
  }

  /**
   * Completes a registration that waited for its mail.
   * @throws {import('../accounts/accounts.errors.js').InvalidMailedToken}
   * @throws {InvalidCredentials} if it is not the password of that registration
   * @throws {import('../accounts/accounts.errors.js').EmailTaken}
   */
  async confirmRegistration(
    { token, password }: ConfirmRegistrationRequest,
    client: ClientInfo,
  ): Promise<SessionResponse> {
    return this.open(await this.registrations.confirm(token, password, client), ['pwd'], client);
  }

  /**
   * @throws {InvalidCredentials}
   * @throws {import('../rate-limits/rate-limits.errors.js').TooManyAttempts}
   */
  async login(
    { email, password }: LoginRequest,
    client: ClientInfo,
  ): Promise<SessionResponse | SignInChallenge> {
    return this.recorded(['pwd'], client, () =>
      this.attempts.run(normaliseEmail(email), client, InvalidCredentials, async () => {
        const user = await this.accounts.authenticate(email, password);
        return this.letIn(user, ['pwd'], client);
      }),
    );
  }

  /**
   * Lets somebody in who has shown `amr` (RFC 8176), or says what is still missing.
   * @param user as the account was when that was shown
   * @throws {InvalidCredentials} if the account is disabled, or its password changed since
   */
  async admit(user: User, amr: string[], client: ClientInfo): Promise<SessionResponse | SignInChallenge> {
    return this.recorded(amr, client, () => this.letIn(user, amr, client));
  }

  private async letIn(
    user: User,
    amr: string[],
    client: ClientInfo,
  ): Promise<SessionResponse | SignInChallenge> {
    this.accounts.refuseDisabled(user);
    return (await this.steps.challenge(user, amr, client)) ?? this.open(user, amr, client);
  }

  private async open(user: User, amr: string[], client: ClientInfo): Promise<SessionResponse> {
    const session = await this.sessions.open(user, amr, client);
    await this.attempts.trust(user.email, client);
    return session;
  }

  /** Known and unknown addresses are recorded alike: who is refused learns nothing from the time it takes. */
  private async recorded<T>(amr: string[], client: ClientInfo, signIn: () => Promise<T>): Promise<T> {
    try {
      return await signIn();
    } catch (error) {
      if (error instanceof InvalidCredentials)
        await this.audit.record({
          action: 'session.refused',
          client,
          userId: error.userId,
          detail: { amr: amr.join(' ') },
        });
      throw error;
    }
  }
}
