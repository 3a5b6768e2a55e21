import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { randomBytes } from 'node:crypto';
import { DataSource, type Repository } from 'typeorm';
import { toUserResponse } from '../accounts/accounts.dto.js';
import { User } from '../accounts/user.entity.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { Unauthenticated } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';
import { AccessTokens } from './access-tokens.js';
import { RefreshTokens, type RefreshTokenClaim } from './refresh-tokens.js';
import { SessionRevocations } from './session-revocations.js';
import { Session } from './session.entity.js';
import type { SessionResponse } from './sessions.dto.js';
import { InvalidRefreshToken } from './sessions.errors.js';

interface Rotation {
  generation: number;
  /** Whether the token had been used before, outside the grace: somebody has a copy. */
  reused: boolean;
}

/** Sessions: opening, staying logged in, ending. */
@Injectable()
export class SessionsService {
  constructor(
    @InjectRepository(Session) private readonly sessions: Repository<Session>,
    private readonly database: DataSource,
    private readonly accessTokens: AccessTokens,
    private readonly refreshTokens: RefreshTokens,
    private readonly revocations: SessionRevocations,
    private readonly config: AtriumConfig,
  ) {}

  /**
   * Trades a refresh token for the next pair. A client that lost the answer may ask again for
   * `REFRESH_GRACE_SECONDS` and gets the same successor, so racing tabs agree on one. A token that comes back
   * later was copied: the whole session ends, although this call fails (RFC 9700, section 4.14.2).
   * @throws {InvalidRefreshToken}
   */
  async refresh(token: string): Promise<SessionResponse> {
    const { session, user, claim } = await this.genuine(token);
    const rotation = await this.rotate(claim);
    if (!rotation) throw new InvalidRefreshToken();
    if (rotation.reused) {
      this.revocations.revoke(session.id);
      throw new InvalidRefreshToken();
    }
    return this.answer(user, session, claim.generation + 1);
  }

  /**
   * Ends the session of an access token, or else of a refresh token. Ending it twice is no error.
   * @throws {Unauthenticated} if neither is good
   */
  async logout(bearer: string | undefined, refreshToken: string | undefined): Promise<void> {
    let sessionId: string;
    if (bearer !== undefined) ({ sessionId } = this.accessTokens.verify(bearer));
    else if (refreshToken !== undefined) sessionId = (await this.genuine(refreshToken)).session.id;
    else throw new Unauthenticated();
    await this.end('id = $1', [sessionId], 'logout');
    // Once more for a session that ended earlier: this instance may not have heard of it yet.
    this.revocations.revoke(sessionId);
  }

  /**
   * Starts a session for somebody who has proven who they are.
   * @param amr how (RFC 8176)
   */
  async open(user: User, amr: string[], client: ClientInfo): Promise<SessionResponse> {
    const session = { id: newId(), seed: randomBytes(32) };
    await this.sessions.insert({
      ...session,
      userId: user.id,
      rotations: () => 'ARRAY[now()]',
      expiresAt: () => `now() + interval '1 second' * ${this.config.sessions.lifetimeSeconds}`,
      userAgent: client.userAgent,
      address: client.address,
      amr,
    });
    return this.answer(user, session, 1);
  }

  /**
   * Ends all sessions of a user, but for one maybe. Their access tokens and sockets end within a second.
   * @param reason kept with the sessions: `password-changed` and the like
   */
  async endAll(userId: string, reason: string, exceptSessionId: string | null = null): Promise<void> {
    await this.end('user_id = $1 AND id IS DISTINCT FROM $2::uuid', [userId, exceptSessionId], reason);
  }

  /** Ends one session of a user. @returns whether there was such a session */
  async endOne(userId: string, sessionId: string, reason: string): Promise<boolean> {
    return (await this.end('user_id = $1 AND id = $2', [userId, sessionId], reason)) > 0;
  }

  /** @param where our own SQL over `sessions`, with the first parameters */
  private async end(where: string, parameters: unknown[], reason: string): Promise<number> {
    const text = `UPDATE sessions SET revoked_at = now(), revoked_reason = $${parameters.length + 1}
      WHERE ${where} AND revoked_at IS NULL RETURNING id`;
    const [rows] = await this.database.query<[{ id: string }[], number]>(text, [...parameters, reason]);
    for (const { id } of rows) this.revocations.revoke(id);
    return rows.length;
  }

  private async genuine(token: string): Promise<{ session: Session; user: User; claim: RefreshTokenClaim }> {
    const claim = this.refreshTokens.read(token);
    const session = claim && (await this.sessions.findOneBy({ id: claim.sessionId }));
    if (!session || !this.refreshTokens.isGenuine(session, claim)) throw new InvalidRefreshToken();
    const user = await this.database.getRepository(User).findOneByOrFail({ id: session.userId });
    return { session, user, claim };
  }

  /** One statement decides between first use, a repeat within the grace, and reuse; racers queue on the row. */
  private async rotate({ sessionId, generation }: RefreshTokenClaim): Promise<Rotation | undefined> {
    const { refreshGraceSeconds, inactivitySeconds } = this.config.sessions;
    const [rows] = await this.database.query<[Rotation[], number]>(
      `UPDATE sessions SET
         rotations = CASE WHEN generation = $2 THEN (ARRAY[now()] || rotations)[1:20] ELSE rotations END,
         generation = CASE WHEN generation = $2 THEN generation + 1 ELSE generation END,
         revoked_at = CASE
           WHEN generation = $2 OR rotations[generation - $2] > now() - make_interval(secs => $3) THEN NULL
           ELSE now() END,
         revoked_reason = CASE
           WHEN generation = $2 OR rotations[generation - $2] > now() - make_interval(secs => $3) THEN NULL
           ELSE 'reuse' END
       WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()
         AND rotations[1] > now() - make_interval(secs => $4)
       RETURNING generation, revoked_at IS NOT NULL AS reused`,
      [sessionId, generation, refreshGraceSeconds, inactivitySeconds],
    );
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
