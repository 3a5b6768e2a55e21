import { Injectable, Logger } from '@nestjs/common';
import { AgentCredentials } from '../agents/agent-credentials.service.js';
import type { Principal } from '../common/access.js';
import { Clock } from '../common/clock.js';
import { newId } from '../common/identifiers.js';
import { Forbidden } from '../common/problem.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Announcements } from '../events/announcements.js';
import { WriteCombiner } from '../events/write-combiner.js';
import { Jobs } from '../jobs/jobs.js';
import type { HeartbeatRequest, HeartbeatResponse } from './heartbeats.dto.js';
import { COUNT_ONLINE, HEARTBEATS, type HeartbeatInput, LOSE_AGENTS } from './heartbeats.sql.js';
import type { ExtendedLease } from './leases.dto.js';
import { AgentsOnly } from './leases.errors.js';
import { toEvents } from './leases.events.js';

interface HeartbeatRow {
  n: string;
  forbidden: string;
  leases: string;
  events: string | null;
}

const LOST_JOB = 'agents.lost';
const EVERY_MINUTE = '* * * * *';
const BATCH = 500;
/** Heartbeats come once in so many seconds, and for all agents together not more often than so many in one second. */
const INTERVAL_SECONDS = { least: 10, most: 300 };
const HEARTBEATS_PER_SECOND = 200;
/** After so many intervals without one, an agent is lost. */
const PATIENCE = 3;
/** How old the number of agents may be, in ms. */
const COUNTED_FOR_MS = 10_000;

/** Whether agents are there, as they say themselves or, when nothing is heard of them, as a job finds. */
@Injectable()
export class Heartbeats {
  private readonly logger = new Logger(Heartbeats.name);
  private readonly beats: WriteCombiner<HeartbeatInput, HeartbeatRow>;
  private online = 0;
  private countedAt = -Infinity;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly announcements: Announcements,
    private readonly credentials: AgentCredentials,
    private readonly clock: Clock,
    jobs: Jobs,
  ) {
    this.beats = new WriteCombiner(statements, HEARTBEATS, (rows) =>
      announcements.announce(rows.flatMap(({ events }) => toEvents(events)).sort((a, b) => a.seq - b.seq)),
    );
    jobs.handle(LOST_JOB, { single: true }, async ({ signal }) => {
      await this.loseSilent(signal);
      return 'done';
    });
    jobs.schedule(LOST_JOB, EVERY_MINUTE);
  }

  /**
   * An agent says that it is there, or goes; leases that it holds last for longer then.
   * @throws {AgentsOnly} for people
   * @throws {Forbidden} for an agent that is disabled
   */
  async beat(
    caller: Principal,
    { leases, ttlSeconds = 60, leaving = false }: HeartbeatRequest,
  ): Promise<HeartbeatResponse> {
    if (!caller.agent) throw new AgentsOnly();
    const intervalSeconds = this.interval();
    const row = await this.beats.run({
      agent_id: caller.id,
      event_id: newId(),
      leaving,
      patience: PATIENCE * intervalSeconds,
      leases,
      ttl: ttlSeconds,
    });
    if (row.forbidden === 'true') throw new Forbidden();
    const held = JSON.parse(row.leases) as ExtendedLease[];
    const lost = leaving ? [] : (leases ?? []).filter((id) => !held.some((lease) => lease.id === id));
    return { intervalSeconds, leases: held, lost, rotateBy: await this.credentials.rotateBy(caller) };
  }

  /** Tells of agents that were not heard of in time; until there are none, or it is aborted. */
  async loseSilent(signal?: AbortSignal): Promise<void> {
    for (let lost = BATCH; lost === BATCH && !signal?.aborted;) lost = await this.lose();
  }

  private async lose(): Promise<number> {
    const [row] = await this.statements.run<{ lost: string; events: string | null }>(LOSE_AGENTS, [BATCH]);
    this.announcements.announce(toEvents(row.events).sort((a, b) => a.seq - b.seq));
    return Number(row.lost);
  }

  private interval(): number {
    if (this.clock.now() - this.countedAt > COUNTED_FOR_MS) {
      this.countedAt = this.clock.now();
      void this.count();
    }
    const { least, most } = INTERVAL_SECONDS;
    return Math.min(most, Math.max(least, Math.ceil(this.online / HEARTBEATS_PER_SECOND)));
  }

  private async count(): Promise<void> {
    try {
      const [{ online }] = await this.statements.run<{ online: string }>(COUNT_ONLINE);
      this.online = Number(online);
    } catch (error) {
      this.logger.warn(`Cannot count the agents: ${(error as Error).message}`);
    }
  }
}
