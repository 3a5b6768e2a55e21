import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Bus } from '../bus/bus.js';
import type { Principal } from '../common/access.js';
import { Clock } from '../common/clock.js';
import { isId } from '../common/identifiers.js';
import { StandingFault } from '../common/standing-fault.js';
import { AtriumConfig } from '../config/config.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';

/** Told of sessions that have ended, once each. */
export type RevocationListener = (sessionId: string) => void;

const POLL_MS = 450;
/** With the bus, which tells at once, every so manyth look is enough; twice POLL_MS is still within a second. */
const POLLS_WITH_BUS = 2;
const CHANNEL = 'sessions';
/** How many sessions that the bus tells of may wait to be looked at; with more, all are. */
const MAX_TOLD = 1_000;
/** A revocation becomes visible when its transaction commits, so each look reaches back this far. */
const OVERLAP_SECONDS = 10;

const RECENTLY_REVOKED: Statement = {
  name: 'sessions.recently_revoked',
  text: `SELECT id FROM sessions WHERE revoked_at > now() - make_interval(secs => $1::int)
    UNION ALL SELECT id FROM revoked_grants
      WHERE revoked_at > now() - make_interval(secs => $1::int) AND revoked_at <= now()`,
};

const REVOKED_AMONG: Statement = {
  name: 'sessions.revoked_among',
  text: `SELECT id FROM sessions WHERE id = ANY($1::uuid[]) AND revoked_at IS NOT NULL
    UNION ALL SELECT id FROM revoked_grants WHERE id = ANY($1::uuid[]) AND revoked_at <= now()`,
};

/** By $1, and takes some along whose last access token has long expired. The time is no older than any wait. */
const REVOKE_GRANTS = `
  WITH expired AS (
    DELETE FROM revoked_grants WHERE id IN (
      SELECT id FROM revoked_grants WHERE revoked_at < now() - interval '2 days' AND id <> ALL ($1::uuid[])
      LIMIT 20 FOR UPDATE SKIP LOCKED)
  )
  INSERT INTO revoked_grants (id, revoked_at) SELECT id, clock_timestamp() FROM unnest($1::uuid[]) AS id
  ON CONFLICT (id) DO UPDATE SET revoked_at = least(revoked_grants.revoked_at, excluded.revoked_at)`;

/** What has ended already stays so. */
const KEEP_GRANT = `DELETE FROM revoked_grants WHERE id = $1 AND revoked_at > now()`;

const REVOKE_GRANT_AT = `
  INSERT INTO revoked_grants (id, revoked_at) VALUES ($1, $2)
  ON CONFLICT (id) DO UPDATE SET revoked_at = excluded.revoked_at WHERE revoked_grants.revoked_at > now()`;

/**
 * Which sessions ended while their access tokens are still alive, kept in memory so that no request asks the
 * database. What this instance revokes counts at once. Of what others revoke the bus tells, and the database has the
 * say; without the bus, a look every half second finds it.
 */
@Injectable()
export class SessionRevocations implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly fault = new StandingFault(new Logger(SessionRevocations.name), 'read revocations');
  /** Session id → when the last of its access tokens has expired (ms), and it can be forgotten. */
  private readonly revoked = new Map<string, number>();
  private readonly listeners: RevocationListener[] = [];
  private readonly memoryMs: number;
  private timer: NodeJS.Timeout | undefined;
  private ticks = 0;
  private reading = false;
  /** What the bus has told of and nobody has looked at. */
  private readonly told = new Set<string>();
  private checking = false;
  /** When the last look that succeeded began, in ms of `performance.now()`. */
  private lookedAt = 0;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly clock: Clock,
    private readonly bus: Bus,
    config: AtriumConfig,
  ) {
    this.memoryMs = (config.tokens.accessTtlSeconds + OVERLAP_SECONDS) * 1_000;
    bus.subscribe(CHANNEL, {
      told: (entries) => void this.check([...entries.keys()]),
      missed: () => void this.poll(),
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.look(this.memoryMs / 1_000);
    this.timer = setInterval(() => this.tick(), POLL_MS).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  /** Whether what somebody's token was given by has ended, or the token itself. */
  hasEnded({ sessionId, agent }: Principal): boolean {
    return this.revoked.has(sessionId) || (agent !== undefined && this.revoked.has(agent.tokenId));
  }

  /**
   * Ends what is no login, by the id that its access tokens name as `sid` or `jti`, in the caller's transaction. After
   * the commit, {@link revoke} each.
   */
  async endGrants(manager: EntityManager, ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await manager.query(REVOKE_GRANTS, [ids]);
  }

  /**
   * Settles when such a grant is to end, in the caller's transaction: within a second of that time, every instance
   * counts it as ended.
   * @param end a time of the database's clock; null: never, as long as nobody ends it
   */
  async endGrantAt(manager: EntityManager, id: string, end: string | null): Promise<void> {
    if (end === null) await manager.query(KEEP_GRANT, [id]);
    else await manager.query(REVOKE_GRANT_AT, [id, end]);
  }

  /** Calls `listener` for every session that ends from now on. */
  onRevoked(listener: RevocationListener): void {
    this.listeners.push(listener);
  }

  /** Ends a session on this instance, after its end was committed, and lets the others know. */
  revoke(sessionId: string): void {
    this.learn(sessionId);
    this.bus.publish(CHANNEL, sessionId);
  }

  private learn(sessionId: string): void {
    if (this.revoked.has(sessionId)) return;
    this.revoked.set(sessionId, this.clock.now() + this.memoryMs);
    for (const listener of this.listeners) listener(sessionId);
  }

  private tick(): void {
    if (!this.bus.isUp || this.ticks++ % POLLS_WITH_BUS === 0) void this.poll();
  }

  /** Asks the database of the sessions that somebody says have ended. */
  private async check(sessionIds: readonly string[]): Promise<void> {
    for (const id of sessionIds) if (isId(id) && !this.revoked.has(id)) this.told.add(id);
    if (this.checking) return;
    this.checking = true;
    try {
      while (this.told.size > 0) {
        const ids = [...this.told];
        this.told.clear();
        if (ids.length > MAX_TOLD) await this.poll();
        else
          for (const { id } of await this.statements.run<{ id: string }>(REVOKED_AMONG, [ids]))
            this.learn(id);
      }
    } catch (error) {
      // The next look finds them.
      this.fault.failed(error);
    } finally {
      this.checking = false;
    }
  }

  private async poll(): Promise<void> {
    if (this.reading) return;
    this.reading = true;
    try {
      // After an outage, as far back as it lasted; whatever is older has no living access token.
      const missed = (performance.now() - this.lookedAt) / 1_000;
      await this.look(Math.min(missed + OVERLAP_SECONDS, this.memoryMs / 1_000));
      this.forgetExpired();
      this.fault.passed();
    } catch (error) {
      this.fault.failed(error);
    } finally {
      this.reading = false;
    }
  }

  private async look(seconds: number): Promise<void> {
    const begun = performance.now();
    for (const { id } of await this.statements.run<{ id: string }>(RECENTLY_REVOKED, [Math.ceil(seconds)]))
      this.learn(id);
    this.lookedAt = begun;
  }

  private forgetExpired(): void {
    const now = this.clock.now();
    for (const [id, forgetAt] of this.revoked) {
      if (forgetAt > now) break; // in order of insertion, so of time
      this.revoked.delete(id);
    }
  }
}
