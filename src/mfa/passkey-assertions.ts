import { Injectable } from '@nestjs/common';
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import { DataSource, type EntityManager } from 'typeorm';
import { AccountsService } from '../accounts/accounts.service.js';
import { OneTimeTokens, type TokenPurpose } from '../accounts/one-time-tokens.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { AtriumConfig } from '../config/config.js';
import { Mailer } from '../mail/mailer.js';
import { passkeyCopied } from './mfa-mails.js';
import { PasskeyRefused } from './mfa.errors.js';
import {
  type Ceremony,
  challengeIn,
  challengeOf,
  handleOf,
  PATIENCE_MS,
  SECOND,
  SIGN_IN,
  webauthn,
} from './passkey-ceremonies.js';
import { Passkey } from './passkey.entity.js';
import type { PasskeyOptions } from './passkeys.dto.js';

/** A signature of a passkey that was good. */
export interface Assertion {
  readonly passkey: Passkey;
  readonly counter: number;
}

/** An account whose factor is shown, and what its challenge was bound to. */
interface SecondOccasion extends Ceremony {
  readonly userId: string;
}

const NOT_BOUND = '';

/**
 * Passkeys that sign (WebAuthn, section 7.2): for the configured site and origins, whatever a request says of itself,
 * always with user verification, and for a challenge of ours that was not used before.
 */
@Injectable()
export class PasskeyAssertions {
  constructor(
    private readonly database: DataSource,
    private readonly tokens: OneTimeTokens,
    private readonly accounts: AccountsService,
    private readonly mailer: Mailer,
    private readonly audit: AuditTrail,
    private readonly config: AtriumConfig,
  ) {}

  /** For a sign-in by a passkey alone, of whatever account. */
  async signInOptions(): Promise<PasskeyOptions> {
    const token = await this.tokens.issue(SIGN_IN, newId(), { boundTo: NOT_BOUND }, { replace: false });
    return this.options(token, []);
  }

  /** For one of an account's passkeys. */
  async secondOptions(userId: string, boundTo: string): Promise<PasskeyOptions> {
    const token = await this.tokens.issue(SECOND, userId, { boundTo }, { replace: false });
    return this.options(token, await this.database.manager.findBy(Passkey, { userId }));
  }

  /** @throws {PasskeyRefused} 401 */
  async verifySignIn(credential: unknown): Promise<Assertion> {
    const assertion = await this.verify(SIGN_IN, credential, 401, () => true);
    // The authenticator says whose it is; a sign-in takes nothing else for an account's name.
    const { userHandle } = (credential as AuthenticationResponseJSON).response;
    if (userHandle !== handleOf(assertion.passkey.userId).toString('base64url'))
      throw new PasskeyRefused(401);
    return assertion;
  }

  /** @throws {PasskeyRefused} if it is not good, another account's, or for another occasion */
  async verifySecond(
    { userId, boundTo }: SecondOccasion,
    credential: unknown,
    status: 401 | 403,
  ): Promise<Assertion> {
    const isMeant = (subject: string, ceremony: Ceremony) =>
      subject === userId && ceremony.boundTo === boundTo;
    const assertion = await this.verify(SECOND, credential, status, isMeant);
    if (assertion.passkey.userId !== userId) throw new PasskeyRefused(status);
    return assertion;
  }

  /**
   * Remembers the use. The counter of those that count must rise, and one statement sees to that (WebAuthn, section
   * 6.1.1): else there are two of it.
   * @returns what was shown (RFC 8176)
   * @throws {PasskeyRefused} with the reason `counter`
   */
  async count(manager: EntityManager, { passkey, counter }: Assertion, status: 401 | 403): Promise<string[]> {
    const [, counted] = await manager.query<[unknown[], number]>(
      `UPDATE passkeys SET counter = $2, last_used_at = now()
       WHERE id = $1 AND (counter < $2 OR (counter = 0 AND $2::bigint = 0))`,
      [passkey.id, counter],
    );
    if (counted === 0) throw new PasskeyRefused(status, 'counter');
    return [passkey.synced ? 'swk' : 'hwk', 'user'];
  }

  /** Records that there may be a copy of a passkey, and tells its owner. */
  async tellOfCopy(userId: string, client: ClientInfo): Promise<void> {
    await this.audit.record({ action: 'passkey.counter-regressed', client, userId });
    const user = await this.accounts.find(userId);
    if (user) await this.mailer.send({ to: user.email, ...passkeyCopied() });
  }

  private async options(token: string, passkeys: readonly Passkey[]): Promise<PasskeyOptions> {
    const { generateAuthenticationOptions } = await webauthn();
    const options = await generateAuthenticationOptions({
      rpID: this.config.mfa.rpId,
      challenge: challengeOf(token),
      timeout: PATIENCE_MS,
      userVerification: 'required',
      allowCredentials: passkeys.map(({ credentialId, transports }) => ({ id: credentialId, transports })),
    });
    return { options };
  }

  private async verify(
    purpose: TokenPurpose<Ceremony>,
    credential: unknown,
    status: 401 | 403,
    isMeant: (subject: string, ceremony: Ceremony) => boolean,
  ): Promise<Assertion> {
    const challenge = challengeIn(credential);
    const used = challenge === undefined ? undefined : await this.tokens.use(purpose, challenge);
    if (challenge === undefined || !used || !isMeant(used.subject, used.data))
      throw new PasskeyRefused(status);
    const { id } = credential as AuthenticationResponseJSON;
    const passkey =
      typeof id === 'string' ? await this.database.manager.findOneBy(Passkey, { credentialId: id }) : null;
    if (!passkey) throw new PasskeyRefused(status);
    const counter = await this.verified(credential as AuthenticationResponseJSON, challenge, passkey, status);
    return { passkey, counter };
  }

  /** @returns what the authenticator counts */
  private async verified(
    response: AuthenticationResponseJSON,
    expectedChallenge: string,
    { credentialId, publicKey }: Passkey,
    status: 401 | 403,
  ): Promise<number> {
    const { verifyAuthenticationResponse } = await webauthn();
    const { rpId, origins } = this.config.mfa;
    try {
      const { verified, authenticationInfo } = await verifyAuthenticationResponse({
        response,
        expectedChallenge,
        expectedOrigin: [...origins],
        expectedRPID: rpId,
        // The counter is judged when the use is remembered, once the signature was found good.
        credential: { id: credentialId, publicKey: new Uint8Array(publicKey), counter: 0 },
        requireUserVerification: true,
      });
      if (verified) return authenticationInfo.newCounter;
    } catch (cause) {
      throw new PasskeyRefused(status, 'wrong', cause);
    }
    throw new PasskeyRefused(status);
  }
}
