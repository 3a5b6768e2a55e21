import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { OwnPassword } from '../accounts/own-password.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import type { RecentProofRule } from '../common/recent-proof.js';
import { Representation } from '../common/representation.js';
import { AtriumConfig } from '../config/config.js';
import { Transactions } from '../database/transactions.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { FactorProofs } from './factor-proofs.js';
import type { StepUpRequest } from './mfa.dto.js';
import { StepUpRequired } from './mfa.errors.js';
import { PasskeyAssertions } from './passkey-assertions.js';
import type { PasskeyOptions } from './passkeys.dto.js';
import { type FactorsRow, STANDING, toFactors } from './second-factors.sql.js';

interface Standing {
  readonly isRecent: boolean;
  readonly amr: readonly string[];
  readonly hasFactor: boolean;
  /** By which the session can prove itself again. */
  readonly methods: readonly string[];
}

/** Sessions that prove again who they are before they change what opens the account. */
@Injectable()
export class StepUpService {
  constructor(
    private readonly database: DataSource,
    private readonly transactions: Transactions,
    private readonly sessions: SessionsService,
    private readonly ownPassword: OwnPassword,
    private readonly proofs: FactorProofs,
    private readonly assertions: PasskeyAssertions,
    private readonly audit: AuditTrail,
    private readonly kept: KeptAnswers,
    private readonly config: AtriumConfig,
  ) {}

  /** @throws {StepUpRequired} unless the session's proof is recent, and as strong as the account can give */
  async demand(principal: Principal, { bringsPassword }: RecentProofRule): Promise<void> {
    const { isRecent, amr, hasFactor, methods } = await this.standing(principal);
    if (bringsPassword && !hasFactor) return;
    if (!isRecent || (hasFactor && !amr.includes('mfa'))) throw new StepUpRequired(methods);
  }

  /**
   * Takes a proof of the caller's and counts it for the present session: the second factor if the account has one,
   * else the password.
   * @throws {StepUpRequired} if it is not what the account asks for
   * @throws {import('./mfa.errors.js').WrongCode}
   * @throws {import('../accounts/accounts.errors.js').WrongPassword}
   * @throws {import('../rate-limits/rate-limits.errors.js').TooManyAttempts}
   */
  async stepUp(principal: Principal, request: StepUpRequest, client: ClientInfo): Promise<void> {
    const { password, ...proof } = request;
    const { hasFactor, methods } = await this.standing(principal);
    if (hasFactor) {
      if (proof.code === undefined && proof.credential === undefined) throw new StepUpRequired(methods);
      const { id: userId, sessionId: boundTo } = principal;
      const occasion = { during: 'step-up', userId, boundTo } as const;
      await this.proofs.take(occasion, proof, client, (manager, amr) =>
        this.renew(manager, principal, amr, client),
      );
      return;
    }
    if (password === undefined) throw new StepUpRequired(methods);
    await this.ownPassword.confirm(principal, password, client);
    await this.transactions.run((manager) => this.renew(manager, principal, ['pwd'], client));
  }

  /** What a browser asks the caller's passkeys for, to prove the session again. */
  async passkeyOptions({ id, sessionId }: Principal): Promise<PasskeyOptions> {
    return this.assertions.secondOptions(id, sessionId);
  }

  private async renew(
    manager: Parameters<SessionsService['renewProof']>[0],
    principal: Principal,
    amr: string[],
    client: ClientInfo,
  ): Promise<void> {
    await this.sessions.renewProof(manager, principal, amr);
    const { id, sessionId } = principal;
    await this.audit.record(
      {
        action: 'session.stepped-up',
        client,
        userId: id,
        principalId: id,
        detail: { sessionId, amr: amr.join(' ') },
      },
      manager,
    );
    await this.kept.keep(manager, principal, Representation.empty(), 204);
  }

  private async standing({ id, sessionId }: Principal): Promise<Standing> {
    const [row] = await this.database.query<
      (FactorsRow & { recent: boolean; amr: string[]; has_password: boolean })[]
    >(STANDING, [id, sessionId, this.config.mfa.stepUpSeconds]);
    if (!row) throw new StepUpRequired([]);
    const { methods } = toFactors(row);
    const hasFactor = methods.length > 0;
    const byPassword = row.has_password ? ['password'] : [];
    return { isRecent: row.recent, amr: row.amr, hasFactor, methods: hasFactor ? methods : byPassword };
  }
}
