import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../common/clock.js';
import { AtriumConfig } from '../config/config.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';

/** Told of sessions that have ended, once each. */
export type RevocationListener = (sessionId: string) => void;

const POLL_MS = 500;
/** A revocation becomes visible when its transaction commits, so each look reaches back this far. */
const OVERLAP_SECONDS = 10;

const RECENTLY_REVOKED: Statement = {
  name: 'sessions.recently_revoked',
  text: `SELECT id FROM sessions WHERE revoked_at > now() - make_interval(secs => $1::int)`,
};

/**
 * Which sessions ended while their access tokens are still alive, kept in memory so that no request asks the
 * database. What this instance revokes counts at once; what others revoke is read every half second.
 */
@Injectable()
export class SessionRevocations implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(SessionRevocations.name);
  /** Session id → when the last of its access tokens has expired (ms), and it can be forgotten. */
  private readonly revoked = new Map<string, number>();
  private readonly listeners: RevocationListener[] = [];
  private readonly memoryMs: number;
  private timer: NodeJS.Timeout | undefined;
  private reading = false;
  /** When the last look that succeeded began, in ms of `performance.now()`. */
  private lookedAt = 0;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly clock: Clock,
    config: AtriumConfig,
  ) {
    this.memoryMs = (config.tokens.accessTtlSeconds + OVERLAP_SECONDS) * 1_000;
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.look(this.memoryMs / 1_000);
    this.timer = setInterval(() => void this.poll(), POLL_MS).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  isRevoked(sessionId: string): boolean {
    return this.revoked.has(sessionId);
  }

  /** Calls `listener` for every session that ends from now on. */
  onRevoked(listener: RevocationListener): void {
    this.listeners.push(listener);
  }

  /** Ends a session on this instance, after its end was committed. */
  revoke(sessionId: string): void {
    if (this.revoked.has(sessionId)) return;
    this.revoked.set(sessionId, this.clock.now() + this.memoryMs);
    for (const listener of this.listeners) listener(sessionId);
  }

  private async poll(): Promise<void> {
    if (this.reading) return;
    this.reading = true;
    try {
      // After an outage, as far back as it lasted; whatever is older has no living access token.
      const missed = (performance.now() - this.lookedAt) / 1_000;
      await this.look(Math.min(missed + OVERLAP_SECONDS, this.memoryMs / 1_000));
      this.forgetExpired();
    } catch (error) {
      this.logger.warn(`Cannot read revocations: ${(error as Error).message}`);
    } finally {
      this.reading = false;
    }
  }

  private async look(seconds: number): Promise<void> {
    const begun = performance.now();
    for (const { id } of await this.statements.run<{ id: string }>(RECENTLY_REVOKED, [Math.ceil(seconds)]))
      this.revoke(id);
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
