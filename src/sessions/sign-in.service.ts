import { Injectable } from '@nestjs/common';
import { AccountsService } from '../accounts/accounts.service.js';
import type { User } from '../accounts/user.entity.js';
import type { ClientInfo } from '../common/client-info.js';
import type { LoginRequest, RegisterRequest, SessionResponse, SignInChallenge } from './sessions.dto.js';
import { SessionsService } from './sessions.service.js';
import { SignInSteps } from './sign-in-steps.js';

/** From a proof of who somebody is to a session. */
@Injectable()
export class SignInService {
  constructor(
    private readonly accounts: AccountsService,
    private readonly sessions: SessionsService,
    private readonly steps: SignInSteps,
  ) {}

  /** @throws {import('../accounts/accounts.errors.js').EmailTaken} */
  async register(input: RegisterRequest, client: ClientInfo): Promise<SessionResponse> {
    return this.sessions.open(await this.accounts.create(input), ['pwd'], client);
  }

  /** @throws {import('../accounts/accounts.errors.js').InvalidCredentials} */
  async login(
    { email, password }: LoginRequest,
    client: ClientInfo,
  ): Promise<SessionResponse | SignInChallenge> {
    return this.admit(await this.accounts.authenticate(email, password), ['pwd'], client);
  }

  /**
   * Lets somebody in who has shown `amr` (RFC 8176), or says what is still missing.
   * @throws {import('../accounts/accounts.errors.js').InvalidCredentials} if the account is disabled
   */
  async admit(user: User, amr: string[], client: ClientInfo): Promise<SessionResponse | SignInChallenge> {
    this.accounts.refuseDisabled(user);
    return (await this.steps.challenge(user, amr, client)) ?? this.sessions.open(user, amr, client);
  }
}
