import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccountsService } from '../accounts/accounts.service.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import { Transactions } from '../database/transactions.js';
import { Mailer } from '../mail/mailer.js';
import { PasswordAttempts } from '../rate-limits/password-attempts.js';
import { recoveryCodeUsed } from './mfa-mails.js';
import { WrongCode, WrongFactor } from './mfa.errors.js';
import type { FactorProofRequest } from './mfa.dto.js';
import { PasskeyAssertions } from './passkey-assertions.js';
import { RecoveryCodes } from './recovery-codes.js';
import type { FactorMethod } from './second-factors.sql.js';
import { TotpService } from './totp.service.js';

/** Where a factor is shown: a sign-in that goes on, or a session that proves itself again. */
export interface ProofOccasion {
  readonly during: 'sign-in' | 'step-up';
  readonly userId: string;
  /** To what the challenge of a passkey was bound: the session, or the challenge of the sign-in. */
  readonly boundTo: string;
}

/** A second factor is shown. */
@Injectable()
export class FactorProofs {
  constructor(
    private readonly transactions: Transactions,
    private readonly accounts: AccountsService,
    private readonly totp: TotpService,
    private readonly assertions: PasskeyAssertions,
    private readonly codes: RecoveryCodes,
    private readonly attempts: PasswordAttempts,
    private readonly mailer: Mailer,
    private readonly audit: AuditTrail,
  ) {}

  /**
   * Takes a proof and does what it is for, in one transaction: if that fails, the proof is not used up.
   * @param work given what was shown (RFC 8176)
   * @throws {WrongCode}
   * @throws {import('../rate-limits/rate-limits.errors.js').TooManyAttempts} before the proof is looked at
   */
  async take<T>(
    occasion: ProofOccasion,
    proof: FactorProofRequest,
    client: ClientInfo,
    work: (manager: EntityManager, amr: string[]) => Promise<T>,
  ): Promise<T> {
    const { userId, during } = occasion;
    const method = methodOf(proof);
    try {
      const answer = await this.attempts.runFactor(userId, client, WrongFactor, async () => {
        const status = during === 'sign-in' ? 401 : 403;
        // Before the transaction: the passkey's challenge is used up whatever comes of it.
        const assertion =
          method === 'webauthn'
            ? await this.assertions.verifySecond(occasion, proof.credential, status)
            : undefined;
        return this.transactions.run(async (manager) => {
          const amr = assertion
            ? await this.assertions.count(manager, assertion, status)
            : await this.acceptCode(manager, userId, method, proof.code ?? '', status);
          if (method === 'recovery')
            await this.audit.record(
              { action: 'mfa.recovery-code.used', client, userId, principalId: userId, detail: { during } },
              manager,
            );
          return work(manager, [...amr, 'mfa']);
        });
      });
      if (method === 'recovery') await this.tellOfRecovery(userId);
      return answer;
    } catch (error) {
      if (error instanceof WrongFactor) {
        const { reason } = error;
        const detail = { method, during, reason };
        await this.audit.record({ action: 'mfa.refused', client, userId, detail });
        if (reason === 'counter') await this.assertions.tellOfCopy(userId, client);
      }
      throw error;
    }
  }

  private async acceptCode(
    manager: EntityManager,
    userId: string,
    method: FactorMethod,
    code: string,
    status: 401 | 403,
  ): Promise<string[]> {
    if (method === 'recovery') {
      if (!(await this.codes.use(manager, userId, code))) throw new WrongCode(status);
      return ['otp'];
    }
    const outcome = await this.totp.accept(manager, userId, code);
    if (outcome !== 'good') throw new WrongCode(status, outcome);
    return ['otp'];
  }

  private async tellOfRecovery(userId: string): Promise<void> {
    const user = await this.accounts.find(userId);
    if (user) await this.mailer.send({ to: user.email, ...recoveryCodeUsed() });
  }
}

/** As it says itself, or as its looks say: a code of an app has six digits. */
function methodOf({ method, code = '', credential }: FactorProofRequest): FactorMethod {
  if (method === undefined && credential !== undefined) return 'webauthn';
  return method ?? (/^\s*\d{3}\s*\d{3}\s*$/.test(code) ? 'totp' : 'recovery');
}
