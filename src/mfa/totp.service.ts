import { Injectable } from '@nestjs/common';
import { Secret, TOTP } from 'otpauth';
import type { EntityManager } from 'typeorm';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { Clock } from '../common/clock.js';
import { AtriumConfig } from '../config/config.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { FactorSecrets } from './factor-secrets.js';
import type { RecoveryCodesResponse, TotpEnrolment } from './mfa.dto.js';
import { TotpAlreadyEnabled, TotpNotFound, WrongCode } from './mfa.errors.js';
import { factorAdded, factorRemoved } from './mfa-mails.js';
import { RecoveryCodes } from './recovery-codes.js';
import { SecondFactors } from './second-factors.js';

const PERIOD_SECONDS = 30;
/** Steps before and after the present one whose codes are taken, for clocks that differ. */
const WINDOW = 1;
const SECRET_BYTES = 20;
/**
 * Takes the code of step $2. What was sealed ($3) under a `FACTOR_SECRET` of before is kept under the one of now ($4),
 * unless somebody else has done so meanwhile.
 */
const TAKE = `last_step = $2, secret = CASE WHEN secret = $3 THEN coalesce($4, secret) ELSE secret END`;
const CONFIRM = `UPDATE totp_factors SET confirmed_at = now(), ${TAKE} WHERE user_id = $1`;
const ACCEPT = `UPDATE totp_factors SET ${TAKE} WHERE user_id = $1 AND confirmed_at IS NOT NULL AND last_step < $2`;

/** Authenticator apps: codes of six digits, a new one each 30 seconds (RFC 6238). */
@Injectable()
export class TotpService {
  constructor(
    private readonly factors: SecondFactors,
    private readonly secrets: FactorSecrets,
    private readonly codes: RecoveryCodes,
    private readonly sessions: SessionsService,
    private readonly clock: Clock,
    private readonly config: AtriumConfig,
  ) {}

  /**
   * Makes a secret for an authenticator app. It is asked for at sign-ins once a code of it was shown; a new one takes
   * the place of one that waits for that.
   * @throws {TotpAlreadyEnabled}
   */
  async enrol(principal: Principal, client: ClientInfo): Promise<TotpEnrolment> {
    const secret = new Secret({ size: SECRET_BYTES });
    const label = await this.factors.change(principal, client, async (manager, { id, email }, before) => {
      if (before.totpSince !== null) throw new TotpAlreadyEnabled();
      await manager.query(
        `INSERT INTO totp_factors (user_id, secret) VALUES ($1, $2)
         ON CONFLICT (user_id) DO UPDATE SET secret = $2, last_step = 0, created_at = now()`,
        [id, this.secrets.seal(id, secret.bytes)],
      );
      return { answer: email, action: 'mfa.totp.enrolled' };
    });
    const otpauthUrl = this.generator(secret, label).toString();
    // Not loaded before somebody needs it.
    const { default: qrCodes } = await import('qrcode');
    const svg = await qrCodes.toString(otpauthUrl, { type: 'svg', margin: 2 });
    const qrCode = `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`;
    return { secret: secret.base32, otpauthUrl, qrCode };
  }

  /**
   * Turns the app on, by a code of it. With the account's first factor come recovery codes, and the other sessions
   * end: they were opened without it.
   * @throws {TotpNotFound}
   * @throws {TotpAlreadyEnabled}
   * @throws {WrongCode}
   */
  async confirm(principal: Principal, code: string, client: ClientInfo): Promise<RecoveryCodesResponse> {
    return this.factors.change(principal, client, async (manager, { id }, before) => {
      if (before.totpSince !== null) throw new TotpAlreadyEnabled();
      const shown = await this.stepOf(manager, id, code, false);
      if (!shown) throw new WrongCode(403);
      await manager.query(CONFIRM, [id, ...shown]);
      await this.sessions.renewProof(manager, principal, ['otp', 'mfa']);
      const isFirst = before.methods.length === 0;
      return {
        answer: { recoveryCodes: isFirst ? await this.codes.replace(manager, id) : [] },
        action: 'mfa.totp.enabled',
        notice: factorAdded('authenticator app'),
        ends: isFirst ? 'factor-added' : undefined,
      };
    });
  }

  /**
   * Removes the app. The account's other sessions end; recovery codes go with the last factor.
   * @throws {TotpNotFound}
   */
  async remove(principal: Principal, client: ClientInfo): Promise<void> {
    await this.factors.change(principal, client, async (manager, { id }) => {
      const [, removed] = await manager.query<[unknown[], number]>(
        `DELETE FROM totp_factors WHERE user_id = $1`,
        [id],
      );
      if (removed === 0) throw new TotpNotFound();
      await this.factors.dropCodesOfNothing(manager, id);
      return {
        answer: undefined,
        action: 'mfa.totp.removed',
        notice: factorRemoved('authenticator app'),
        ends: 'factor-removed',
      };
    });
  }

  /**
   * Takes a code, each once: the time step of what was taken must rise, and one statement sees to that (RFC 6238,
   * section 5.2).
   */
  async accept(manager: EntityManager, userId: string, code: string): Promise<'good' | 'wrong' | 'replayed'> {
    const shown = await this.stepOf(manager, userId, code, true);
    if (!shown) return 'wrong';
    const [, taken] = await manager.query<[unknown[], number]>(ACCEPT, [userId, ...shown]);
    return taken > 0 ? 'good' : 'replayed';
  }

  /** The time step whose code this is, and the rest of {@link TAKE}; `undefined` if it is none of this time. */
  private async stepOf(
    manager: EntityManager,
    userId: string,
    code: string,
    isConfirmed: boolean,
  ): Promise<readonly [step: number, sealed: Buffer, sealedAnew: Buffer | undefined] | undefined> {
    const [found] = await manager.query<{ secret: Buffer }[]>(
      `SELECT secret FROM totp_factors WHERE user_id = $1 AND (confirmed_at IS NOT NULL) = $2`,
      [userId, isConfirmed],
    );
    if (!found) {
      if (isConfirmed) return undefined;
      throw new TotpNotFound();
    }
    const { secret, sealedAnew } = this.secrets.open(userId, found.secret);
    const totp = this.generator(new Secret({ buffer: new Uint8Array(secret).buffer }), '');
    const timestamp = this.clock.now();
    const delta = totp.validate({ token: code.replace(/\s/g, ''), timestamp, window: WINDOW });
    if (delta === null) return undefined;
    return [TOTP.counter({ period: PERIOD_SECONDS, timestamp }) + delta, found.secret, sealedAnew];
  }

  private generator(secret: Secret, label: string): TOTP {
    const issuer = this.config.mfa.serviceName;
    return new TOTP({ issuer, label, secret, algorithm: 'SHA1', digits: 6, period: PERIOD_SECONDS });
  }
}
