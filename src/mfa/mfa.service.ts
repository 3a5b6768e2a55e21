import { Injectable, type OnModuleInit } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { DataSource } from 'typeorm';
import { AccountsService } from '../accounts/accounts.service.js';
import { OneTimeTokens, type TokenPurpose } from '../accounts/one-time-tokens.js';
import type { User } from '../accounts/user.entity.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import type { SessionResponse, SignInChallenge } from '../sessions/sessions.dto.js';
import { SignInService } from '../sessions/sign-in.service.js';
import { SignInSteps } from '../sessions/sign-in-steps.js';
import { FactorProofs } from './factor-proofs.js';
import type { MfaStatus, RecoveryCodesResponse, VerifyMfaRequest } from './mfa.dto.js';
import { InvalidMfaToken, MfaNotEnabled } from './mfa.errors.js';
import { recoveryCodesReplaced } from './mfa-mails.js';
import { PasskeyAssertions } from './passkey-assertions.js';
import type { PasskeyOptions } from './passkeys.dto.js';
import { RecoveryCodes } from './recovery-codes.js';
import { SecondFactors } from './second-factors.js';
import { factorsOf } from './second-factors.sql.js';

/** A sign-in whose first proof was good. */
interface OpenSignIn {
  /** What the account's was at the first proof: another password makes it void. */
  readonly credentialsVersion: number;
  readonly amr: string[];
}

const CHALLENGE: TokenPurpose<OpenSignIn> = { name: 'mfa-challenge', ttlSeconds: 300 };
/** How often one challenge may be answered. */
const TRIES = 5;

/** Sign-ins that ask for a second factor, and what an account has of them. */
@Injectable()
export class MfaService implements OnModuleInit {
  constructor(
    private readonly database: DataSource,
    private readonly accounts: AccountsService,
    private readonly tokens: OneTimeTokens,
    private readonly steps: SignInSteps,
    private readonly signIn: SignInService,
    private readonly factors: SecondFactors,
    private readonly proofs: FactorProofs,
    private readonly codes: RecoveryCodes,
    private readonly assertions: PasskeyAssertions,
  ) {}

  onModuleInit(): void {
    this.steps.add((user, amr) => this.challenge(user, amr));
  }

  /** What second factors the caller has. */
  async status({ id }: Principal): Promise<MfaStatus> {
    const { totpSince, passkeys, recoveryCodes, methods } = await factorsOf(this.database.manager, id);
    return {
      enabled: methods.length > 0,
      methods: [...methods],
      totp: totpSince === null ? null : { enabledAt: totpSince },
      passkeys,
      recoveryCodesLeft: recoveryCodes,
    };
  }

  /**
   * Makes new recovery codes; the old ones work no more.
   * @throws {MfaNotEnabled}
   */
  async replaceCodes(principal: Principal, client: ClientInfo): Promise<RecoveryCodesResponse> {
    return this.factors.change(principal, client, async (manager, { id }, before) => {
      if (before.methods.length === 0) throw new MfaNotEnabled();
      return {
        answer: { recoveryCodes: await this.codes.replace(manager, id) },
        action: 'mfa.recovery-codes.replaced',
        notice: recoveryCodesReplaced(),
      };
    });
  }

  /**
   * Completes a sign-in. The challenge is good once, and for five tries.
   * @throws {InvalidMfaToken}
   * @throws {import('./mfa.errors.js').WrongCode}
   * @throws {import('../rate-limits/rate-limits.errors.js').TooManyAttempts}
   */
  async verify(
    { mfaToken, ...proof }: VerifyMfaRequest,
    client: ClientInfo,
  ): Promise<SessionResponse | SignInChallenge> {
    const open = await this.tokens.attempt(CHALLENGE, mfaToken, TRIES);
    const user = open && (await this.accounts.find(open.subject));
    if (!open || user?.credentialsVersion !== open.data.credentialsVersion) throw new InvalidMfaToken();
    const occasion = { during: 'sign-in', userId: user.id, boundTo: markOf(mfaToken) } as const;
    const amr = await this.proofs.take(occasion, proof, client, async (manager, shown) => {
      if (!(await this.tokens.use(CHALLENGE, mfaToken, manager))) throw new InvalidMfaToken();
      return [...open.data.amr, ...shown];
    });
    return this.signIn.admit(user, amr, client);
  }

  /**
   * What a browser asks the passkeys of the account for, to answer a challenge.
   * @throws {InvalidMfaToken}
   */
  async passkeyOptions(mfaToken: string): Promise<PasskeyOptions> {
    const open = await this.tokens.peek(CHALLENGE, mfaToken);
    if (!open) throw new InvalidMfaToken();
    return this.assertions.secondOptions(open.subject, markOf(mfaToken));
  }

  private async challenge(user: User, amr: string[]): Promise<SignInChallenge | undefined> {
    if (amr.includes('mfa')) return undefined;
    const { methods } = await factorsOf(this.database.manager, user.id);
    if (methods.length === 0) return undefined;
    const { id, credentialsVersion } = user;
    const mfaToken = await this.tokens.issue(CHALLENGE, id, { credentialsVersion, amr }, { replace: false });
    return { mfaRequired: true, mfaToken, methods: [...methods], expiresIn: CHALLENGE.ttlSeconds };
  }
}

/** What may be kept of a token. */
const markOf = (token: string): string => createHash('sha256').update(token).digest('base64url');
