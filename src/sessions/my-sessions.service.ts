import { Injectable } from '@nestjs/common';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { decodePageCursor, DEFAULT_LIMIT, pageOf, type PageQuery } from '../common/pagination.js';
import { Unauthenticated } from '../common/problem.js';
import { InsufficientScope } from '../common/scopes.js';
import { AtriumConfig } from '../config/config.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { AccessTokens } from './access-tokens.js';
import { type MySessionList, type MySessionRow, toMySession } from './my-sessions.dto.js';
import { SessionEnded } from './session-ended.js';
import { SessionRevocations } from './session-revocations.js';
import { SessionNotFound } from './sessions.errors.js';
import { SessionsService } from './sessions.service.js';

const LIST: Statement = {
  name: 'sessions.list',
  text: `SELECT id, user_agent, address, created_at, rotations[1] AS last_used_at,
      least(expires_at, rotations[1] + make_interval(secs => $4::int)) AS expires_at
    FROM sessions
    WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()
      AND rotations[1] > now() - make_interval(secs => $4::int) AND ($2::uuid IS NULL OR id < $2)
    ORDER BY id DESC LIMIT $3`,
};

/** What people do with their own sessions. */
@Injectable()
export class MySessionsService {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly sessions: SessionsService,
    private readonly accessTokens: AccessTokens,
    private readonly revocations: SessionRevocations,
    private readonly audit: AuditTrail,
    private readonly config: AtriumConfig,
  ) {}

  /** The caller's living sessions, newest first. */
  async list(principal: Principal, query: PageQuery): Promise<MySessionList> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const rows = await this.statements.run<MySessionRow>(LIST, [
      principal.id,
      decodePageCursor(query.cursor),
      limit + 1,
      this.config.sessions.inactivitySeconds,
    ]);
    return pageOf(
      rows,
      limit,
      (row) => toMySession(row, principal.sessionId),
      ({ id }) => id,
    );
  }

  /**
   * Ends one of the caller's sessions, which may be this one.
   * @throws {SessionNotFound}
   */
  async delete(principal: Principal, id: string, client: ClientInfo): Promise<SessionEnded> {
    if (!(await this.sessions.endOne(principal.id, id, 'deleted'))) throw new SessionNotFound();
    await this.recordEnd(principal.id, 'deleted', client, id);
    return new SessionEnded(id);
  }

  /**
   * Ends the session of an access token, or else of a refresh token. Ending it twice is no error.
   * @throws {Unauthenticated} if there is no good access token, and no refresh token
   * @throws {InsufficientScope} for an agent, which has no such session
   * @throws {import('./sessions.errors.js').InvalidRefreshToken}
   */
  async logout(
    bearer: string | undefined,
    refreshToken: string | undefined,
    client: ClientInfo,
  ): Promise<SessionEnded> {
    const { userId, sessionId } = await this.sessionOf(bearer, refreshToken);
    if (await this.sessions.endOne(userId, sessionId, 'logout'))
      await this.recordEnd(userId, 'logout', client, sessionId);
    // Once more for a session that ended earlier: this instance may not have heard of it yet.
    this.revocations.revoke(sessionId);
    return new SessionEnded(sessionId);
  }

  /** Ends all of the caller's sessions, this one, too. */
  async logoutAll(principal: Principal, client: ClientInfo): Promise<SessionEnded> {
    await this.sessions.endAll(principal.id, 'logout-all');
    await this.recordEnd(principal.id, 'logout-all', client);
    return new SessionEnded(principal.sessionId);
  }

  private async sessionOf(
    bearer: string | undefined,
    refreshToken: string | undefined,
  ): Promise<{ userId: string; sessionId: string }> {
    if (bearer !== undefined) {
      const { id, sessionId, agent } = this.accessTokens.verify(bearer);
      // Its tokens are ended by POST /oauth/revoke.
      if (agent) throw new InsufficientScope();
      return { userId: id, sessionId };
    }
    if (refreshToken === undefined) throw new Unauthenticated();
    return this.sessions.owner(refreshToken);
  }

  private async recordEnd(
    userId: string,
    reason: string,
    client: ClientInfo,
    sessionId: string | null = null,
  ): Promise<void> {
    await this.audit.record({
      action: 'session.ended',
      client,
      userId,
      principalId: userId,
      detail: { reason, sessionId },
    });
  }
}
