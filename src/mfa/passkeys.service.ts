import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { RegistrationResponseJSON, WebAuthnCredential } from '@simplewebauthn/server';
import { DataSource, type EntityManager } from 'typeorm';
import { AccountsService } from '../accounts/accounts.service.js';
import { OneTimeTokens } from '../accounts/one-time-tokens.js';
import { SignInMethods } from '../accounts/sign-in-methods.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { decodePageCursor, DEFAULT_LIMIT, pageOf, type PageQuery } from '../common/pagination.js';
import { Unauthenticated } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';
import { isUniqueViolation } from '../database/errors.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { Transactions } from '../database/transactions.js';
import type { SessionResponse, SignInChallenge } from '../sessions/sessions.dto.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { SignInService } from '../sessions/sign-in.service.js';
import { factorAdded, factorRemoved } from './mfa-mails.js';
import { PasskeyNotFound, PasskeyRefused, PasskeyRegistered, TooManyPasskeys } from './mfa.errors.js';
import { PasskeyAssertions } from './passkey-assertions.js';
import {
  challengeIn,
  challengeOf,
  handleOf,
  PATIENCE_MS,
  REGISTRATION,
  webauthn,
} from './passkey-ceremonies.js';
import { Passkey } from './passkey.entity.js';
import {
  type AddedPasskey,
  type AddPasskeyRequest,
  type PasskeyList,
  type PasskeyOptions,
  type PasskeyResponse,
  type PasskeyRow,
  toPasskeyResponse,
} from './passkeys.dto.js';
import { RecoveryCodes } from './recovery-codes.js';
import { SecondFactors } from './second-factors.js';

const LIMIT = 20;

const LIST: Statement = {
  name: 'passkeys.list',
  text: `SELECT id, name, synced, created_at, last_used_at FROM passkeys
    WHERE user_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3`,
};
const RENAME: Statement = {
  name: 'passkeys.rename',
  text: `UPDATE passkeys SET name = $3 WHERE user_id = $1 AND id = $2
    RETURNING id, name, synced, created_at, last_used_at`,
};

/** A passkey as its registration showed it. */
interface NewPasskey {
  readonly credential: WebAuthnCredential;
  readonly synced: boolean;
}

/** People's passkeys: adding and removing them, and signing in by one. */
@Injectable()
export class PasskeysService implements OnModuleInit {
  constructor(
    private readonly database: DataSource,
    private readonly statements: PipelinedStatements,
    private readonly transactions: Transactions,
    private readonly accounts: AccountsService,
    private readonly tokens: OneTimeTokens,
    private readonly methods: SignInMethods,
    private readonly factors: SecondFactors,
    private readonly codes: RecoveryCodes,
    private readonly sessions: SessionsService,
    private readonly assertions: PasskeyAssertions,
    private readonly signIns: SignInService,
    private readonly audit: AuditTrail,
    private readonly config: AtriumConfig,
  ) {}

  onModuleInit(): void {
    this.methods.add((manager, userId) => manager.countBy(Passkey, { userId }));
  }

  /** What a browser asks an authenticator for, to make a passkey for the caller's account. */
  async creationOptions({ id, sessionId }: Principal): Promise<PasskeyOptions> {
    const user = await this.accounts.find(id);
    if (!user) throw new Unauthenticated('This account is gone.');
    const known = await this.database.manager.findBy(Passkey, { userId: id });
    if (known.length >= LIMIT) throw new TooManyPasskeys(LIMIT);
    const token = await this.tokens.issue(REGISTRATION, id, { boundTo: sessionId }, { replace: false });
    const { generateRegistrationOptions } = await webauthn();
    const options = await generateRegistrationOptions({
      rpName: this.config.mfa.serviceName,
      rpID: this.config.mfa.rpId,
      userID: new Uint8Array(handleOf(id)),
      userName: user.email,
      userDisplayName: user.name ?? user.email,
      challenge: challengeOf(token),
      timeout: PATIENCE_MS,
      attestationType: 'none',
      excludeCredentials: known.map(({ credentialId, transports }) => ({ id: credentialId, transports })),
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    });
    return { options };
  }

  /**
   * Adds a passkey to the caller's account. With the account's first factor come recovery codes, and the other
   * sessions end: they were opened without it.
   * @throws {PasskeyRefused}
   * @throws {PasskeyRegistered}
   * @throws {TooManyPasskeys}
   */
  async add(
    principal: Principal,
    { name = 'Passkey', credential }: AddPasskeyRequest,
    client: ClientInfo,
  ): Promise<AddedPasskey> {
    const made = await this.verified(principal, credential as RegistrationResponseJSON);
    return this.factors.change(principal, client, async (manager, { id: userId }, before) => {
      if (before.passkeys >= LIMIT) throw new TooManyPasskeys(LIMIT);
      const passkey = await this.insert(manager, userId, name, made);
      await this.sessions.renewProof(manager, principal, [made.synced ? 'swk' : 'hwk', 'user', 'mfa']);
      const isFirst = before.methods.length === 0;
      return {
        answer: { passkey, recoveryCodes: isFirst ? await this.codes.replace(manager, userId) : [] },
        action: 'passkey.added',
        detail: { passkeyId: passkey.id },
        notice: factorAdded('passkey'),
        ends: isFirst ? 'factor-added' : undefined,
      };
    });
  }

  /** The caller's passkeys, oldest first. */
  async list(principal: Principal, query: PageQuery): Promise<PasskeyList> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const after = decodePageCursor(query.cursor);
    const rows = await this.statements.run<PasskeyRow>(LIST, [principal.id, after, limit + 1]);
    return pageOf(rows, limit, toPasskeyResponse, ({ id }) => id);
  }

  /** @throws {PasskeyNotFound} */
  async rename(principal: Principal, id: string, name: string): Promise<PasskeyResponse> {
    const [row] = await this.statements.run<PasskeyRow>(RENAME, [principal.id, id, name]);
    if (!row) throw new PasskeyNotFound();
    return toPasskeyResponse(row);
  }

  /**
   * Takes a passkey from the caller's account, and ends the other sessions. Recovery codes go with the last factor.
   * @throws {PasskeyNotFound}
   * @throws {import('../accounts/accounts.errors.js').LastSignInMethod}
   */
  async remove(principal: Principal, id: string, client: ClientInfo): Promise<void> {
    await this.factors.change(principal, client, async (manager, user) => {
      const userId = user.id;
      if (!(await manager.existsBy(Passkey, { id, userId }))) throw new PasskeyNotFound();
      await this.methods.refuseLast(manager, user);
      await manager.delete(Passkey, { id, userId });
      await this.factors.dropCodesOfNothing(manager, userId);
      return {
        answer: undefined,
        action: 'passkey.removed',
        detail: { passkeyId: id },
        notice: factorRemoved('passkey'),
        ends: 'factor-removed',
      };
    });
  }

  /**
   * Signs in by a passkey alone: having it and being verified by it are two factors.
   * @throws {PasskeyRefused}
   * @throws {import('../accounts/accounts.errors.js').InvalidCredentials} if the account is disabled
   */
  async signIn(credential: unknown, client: ClientInfo): Promise<SessionResponse | SignInChallenge> {
    const assertion = await this.assertions.verifySignIn(credential);
    const { userId } = assertion.passkey;
    const user = await this.accounts.find(userId);
    if (!user) throw new PasskeyRefused(401);
    try {
      const amr = await this.transactions.run((manager) => this.assertions.count(manager, assertion, 401));
      return await this.signIns.admit(user, [...amr, 'mfa'], client);
    } catch (error) {
      if (error instanceof PasskeyRefused) {
        await this.audit.record({
          action: 'session.refused',
          client,
          userId,
          detail: { reason: error.reason },
        });
        if (error.reason === 'counter') await this.assertions.tellOfCopy(userId, client);
      }
      throw error;
    }
  }

  private async insert(
    manager: EntityManager,
    userId: string,
    name: string,
    { credential, synced }: NewPasskey,
  ): Promise<PasskeyResponse> {
    const id = newId();
    try {
      await manager.insert(Passkey, {
        id,
        userId,
        credentialId: credential.id,
        publicKey: Buffer.from(credential.publicKey),
        counter: String(credential.counter),
        transports: (credential.transports ?? []).filter((each) => /^[a-z-]{1,20}$/.test(each)).slice(0, 8),
        synced,
        name,
      });
    } catch (error) {
      if (isUniqueViolation(error, 'passkeys_credential_id_key')) throw new PasskeyRegistered();
      throw error;
    }
    const { createdAt } = await manager.findOneByOrFail(Passkey, { id });
    return { id, name, synced, createdAt: createdAt.toISOString(), lastUsedAt: null };
  }

  private async verified(
    { id, sessionId }: Principal,
    response: RegistrationResponseJSON,
  ): Promise<NewPasskey> {
    const challenge = challengeIn(response);
    const used = challenge === undefined ? undefined : await this.tokens.use(REGISTRATION, challenge);
    if (challenge === undefined || used?.subject !== id || used.data.boundTo !== sessionId)
      throw new PasskeyRefused(400);
    const { verifyRegistrationResponse } = await webauthn();
    const { rpId, origins } = this.config.mfa;
    try {
      const { registrationInfo } = await verifyRegistrationResponse({
        response,
        expectedChallenge: challenge,
        expectedOrigin: [...origins],
        expectedRPID: rpId,
        requireUserVerification: true,
      });
      if (registrationInfo) {
        const { credential, credentialDeviceType } = registrationInfo;
        return { credential, synced: credentialDeviceType === 'multiDevice' };
      }
    } catch (cause) {
      throw new PasskeyRefused(400, 'wrong', cause);
    }
    throw new PasskeyRefused(400);
  }
}
