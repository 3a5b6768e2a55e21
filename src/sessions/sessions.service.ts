import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { randomBytes } from 'node:crypto';
import { DataSource, type EntityManager, type Repository } from 'typeorm';
import { AccountDeletion } from '../accounts/account-deletion.js';
import { toUserResponse } from '../accounts/accounts.dto.js';
import { InvalidCredentials } from '../accounts/accounts.errors.js';
import { type AfterCommit, type SignOutOrder, SignOuts } from '../accounts/sign-outs.js';
import { User } from '../accounts/user.entity.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { ValidationFailed } from '../common/problem.js';
import { Transactions } from '../database/transactions.js';
import { AtriumConfig } from '../config/config.js';
import { AccessTokens } from './access-tokens.js';
import { RefreshTokens, type RefreshTokenClaim } from './refresh-tokens.js';
import { SessionRevocations } from './session-revocations.js';
import { Session } from './session.entity.js';
import {
  END_SESSION,
  END_SESSIONS,
  FORGET_DEVICES,
  OPEN_SESSION,
  RENEW_PROOF,
  ROTATE_SESSION,
} from './sessions.sql.js';
import type { SessionResponse } from './sessions.dto.js';
import { InvalidRefreshToken, SessionRevoked } from './sessions.errors.js';

interface Rotation {
  /** The number of the token that is good now. */
  generation: number;
  /** Whether the token had been used before, outside the grace: somebody has a copy. */
  reused: boolean;
}

/** A session whose refresh token is genuine, though maybe used up or ended. */
interface GenuineToken {
  readonly session: Session;
  readonly user: User;
  readonly claim: RefreshTokenClaim;
}

/** Sessions: opening, staying logged in, ending. */
@Injectable()
export class SessionsService implements OnModuleInit {
  constructor(
    @InjectRepository(Session) private readonly sessions: Repository<Session>,
    private readonly database: DataSource,
    private readonly transactions: Transactions,
    private readonly accessTokens: AccessTokens,
    private readonly refreshTokens: RefreshTokens,
    private readonly revocations: SessionRevocations,
    private readonly signOuts: SignOuts,
    private readonly deletion: AccountDeletion,
    private readonly audit: AuditTrail,
    private readonly config: AtriumConfig,
  ) {}

  onModuleInit(): void {
    this.signOuts.add((manager, order) => this.signOut(manager, order));
    this.deletion.add(async (manager, { id }) => {
      await manager.query(FORGET_DEVICES, [id]);
      return undefined;
    });
  }

  /**
   * Trades a refresh token for the next pair. A client that lost the answer may ask again for
   * `REFRESH_GRACE_SECONDS` and gets the same successor, so racing tabs agree on one. A token that comes back
   * later was copied: the whole session ends, although this call fails (RFC 9700, section 4.14.2).
   *
   * Tabs share a cookie, and the answer to a repeat may arrive last: lest an older token takes the place of a
   * newer one, a repeat by cookie is given the newest. That is no more than the caller has already, because
   * the successor of a token within its grace is within its own, too.
   * @param token from the body; it goes before the cookie
   * @throws {InvalidRefreshToken}
   * @throws {ValidationFailed} if there is neither
   */
  async refresh(
    token: string | undefined,
    cookie: string | undefined,
    client: ClientInfo,
  ): Promise<SessionResponse> {
    const presented = token ?? cookie;
    if (presented === undefined)
      throw new ValidationFailed([{ pointer: '/refreshToken', detail: 'must be a refresh token' }]);
    const { session, user, claim } = await this.genuine(presented);
    const rotation = await this.rotate(claim, client);
    if (!rotation) throw new InvalidRefreshToken();
    if (rotation.reused) {
      this.revocations.revoke(session.id);
      await this.audit.record({
        action: 'refresh-token.reused',
        client,
        userId: user.id,
        detail: { sessionId: session.id },
      });
      throw new InvalidRefreshToken();
    }
    return this.answer(user, session, token === undefined ? rotation.generation : claim.generation + 1);
  }

  /**
   * Starts a session for somebody who has proven who they are.
   * @param user as the account was when the proof was given: if it was disabled or its password changed since,
   * the proof is worth nothing
   * @param amr how it was proven (RFC 8176)
   * @throws {InvalidCredentials}
   */
  async open(user: User, amr: string[], client: ClientInfo): Promise<SessionResponse> {
    const session = { id: newId(), seed: randomBytes(32) };
    await this.transactions.run(async (manager) => {
      const opened = await manager.query<{ id: string }[]>(OPEN_SESSION, [
        session.id,
        user.id,
        session.seed,
        this.config.sessions.lifetimeSeconds,
        client.userAgent,
        client.address,
        amr,
        user.credentialsVersion,
      ]);
      if (opened.length === 0) throw new InvalidCredentials(user.id);
      await this.audit.record(
        {
          action: 'session.opened',
          client,
          userId: user.id,
          principalId: user.id,
          detail: { sessionId: session.id, amr: amr.join(' ') },
        },
        manager,
      );
    });
    return this.answer(user, session, 1);
  }

  /**
   * The session of a genuine refresh token, whether it can still be traded or not.
   * @throws {InvalidRefreshToken}
   */
  async owner(token: string): Promise<{ sessionId: string; userId: string }> {
    const { session, user } = await this.genuine(token);
    return { sessionId: session.id, userId: user.id };
  }

  /**
   * Ends all sessions of a user, but for one maybe. Their access tokens and sockets end within a second.
   * @param reason kept with the sessions: `password-changed` and the like
   */
  async endAll(userId: string, reason: string, exceptSessionId?: string): Promise<void> {
    const tell = await this.transactions.run((manager) =>
      this.signOut(manager, { userId, reason, exceptSessionId }),
    );
    tell();
  }

  /** Ends one session of a user. @returns whether there was such a session, alive */
  async endOne(userId: string, sessionId: string, reason: string): Promise<boolean> {
    const ended = await this.end(this.database.manager, END_SESSION, [userId, sessionId, reason]);
    for (const id of ended) this.revocations.revoke(id);
    return ended.length > 0;
  }

  /**
   * Remembers that the person of a session has just proven again who they are, in the caller's transaction.
   * @param amr what was shown now (RFC 8176); it comes to what was shown before
   * @throws {SessionRevoked} if the session has ended meanwhile
   */
  async renewProof(manager: EntityManager, { sessionId, id }: Principal, amr: string[]): Promise<void> {
    const [rows] = await manager.query<[unknown[], number]>(RENEW_PROOF, [sessionId, id, amr]);
    if (rows.length === 0) throw new SessionRevoked();
  }

  private async signOut(manager: EntityManager, order: SignOutOrder): Promise<AfterCommit> {
    const { userId, reason, exceptSessionId = null, client } = order;
    const ended = await this.end(manager, END_SESSIONS, [userId, exceptSessionId, reason]);
    if (client && ended.length > 0)
      await this.audit.record(
        { action: 'session.ended', client, userId, detail: { reason, sessions: ended.length } },
        manager,
      );
    return () => ended.forEach((id) => this.revocations.revoke(id));
  }

  /** @returns the sessions that ended by this */
  private async end(
    manager: EntityManager,
    statement: string,
    parameters: readonly (string | null)[],
  ): Promise<string[]> {
    const [rows] = await manager.query<[{ id: string }[], number]>(statement, [...parameters]);
    return rows.map(({ id }) => id);
  }

  private async genuine(token: string): Promise<GenuineToken> {
    const claim = this.refreshTokens.read(token);
    const session = claim && (await this.sessions.findOneBy({ id: claim.sessionId }));
    if (!session || !this.refreshTokens.isGenuine(session, claim)) throw new InvalidRefreshToken();
    // An account that is gone has taken its sessions' owner with it.
    const user =
      session.userId === null
        ? null
        : await this.database.getRepository(User).findOneBy({ id: session.userId });
    if (!user) throw new InvalidRefreshToken();
    return { session, user, claim };
  }

  private async rotate(
    { sessionId, generation }: RefreshTokenClaim,
    { address }: ClientInfo,
  ): Promise<Rotation | undefined> {
    const { refreshGraceSeconds, inactivitySeconds } = this.config.sessions;
    const [rows] = await this.database.query<[Rotation[], number]>(ROTATE_SESSION, [
      sessionId,
      generation,
      refreshGraceSeconds,
      inactivitySeconds,
      address,
    ]);
    return rows[0];
  }

  private answer(user: User, session: { id: string; seed: Buffer }, generation: number): SessionResponse {
    return {
      user: toUserResponse(user),
      ...this.accessTokens.sign(user.id, session.id),
      tokenType: 'Bearer',
      refreshToken: this.refreshTokens.derive(session, generation),
    };
  }
}
