import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { AgentCredentials } from '../agents/agent-credentials.service.js';
import type { AgentClaims, Principal } from '../common/access.js';
import { Clock } from '../common/clock.js';
import { newId } from '../common/identifiers.js';
import { Forbidden } from '../common/problem.js';
import { reasonOf } from '../common/reason.js';
import { hasScope, requireScope } from '../common/scopes.js';
import { StandingFault } from '../common/standing-fault.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Announcements } from '../events/announcements.js';
import { WriteCombiner } from '../events/write-combiner.js';
import type { HeartbeatRequest, HeartbeatResponse } from './heartbeats.dto.js';
import { COUNT_ONLINE, HEARTBEATS, type HeartbeatInput, LOSE_AGENTS, type Sign } from './heartbeats.sql.js';
import type { ExtendedLease } from './leases.dto.js';
import { AgentsOnly } from './leases.errors.js';
import { eventsOf } from './leases.events.js';

interface HeartbeatRow {
  n: string;
  forbidden: string;
  leases: string;
  events: string | null;
}

const BATCH = 500;
/** How often each instance looks for agents that are lost. */
const LOOK_MS = 5_000;
/** Heartbeats come once in so many seconds, and for all agents together not more often than so many in one second. */
const INTERVAL_SECONDS = { least: 10, most: 300 };
const HEARTBEATS_PER_SECOND = 200;
/** After so many intervals without one, an agent is lost. */
const PATIENCE = 3;
/** How old the number of agents may be, in ms. */
const COUNTED_FOR_MS = 10_000;

/**
 * Whether agents are there, as they say themselves or, when nothing is heard of them any more, as the instances find.
 */
@Injectable()
export class Heartbeats implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(Heartbeats.name);
  private readonly fault = new StandingFault(this.logger, 'look for agents that are lost');
  private readonly beats: WriteCombiner<HeartbeatInput, HeartbeatRow>;
  private online = 0;
  private countedAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private looking = false;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly announcements: Announcements,
    private readonly credentials: AgentCredentials,
    private readonly clock: Clock,
  ) {
    this.beats = new WriteCombiner(statements, HEARTBEATS, (rows) => announcements.announce(eventsOf(rows)));
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  /**
   * An agent says that it is there, or goes; leases that it holds last for longer then, if its token is for leases.
   * @param instanceId of the socket over which it says so; by POST when left out
   * @throws {AgentsOnly} for people
   * @throws {Forbidden} for an agent that is disabled
   * @throws {import('../common/scopes.js').InsufficientScope} if it names leases without the scope for them
   */
  async beat(
    caller: Principal,
    { leases, ttlSeconds = 60, leaving = false }: HeartbeatRequest,
    instanceId?: string,
  ): Promise<HeartbeatResponse> {
    if (!caller.agent) throw new AgentsOnly();
    if (leases?.length) requireScope(caller, 'leases');
    const intervalSeconds = this.interval();
    const row = await this.beats.run({
      ...heard(caller.id, caller.agent, leaving ? 'leaving' : 'here', instanceId),
      patience: PATIENCE * intervalSeconds,
      leases: hasScope(caller, 'leases') ? leases : [],
      ttl: ttlSeconds,
    });
    if (row.forbidden === 'true') throw new Forbidden();
    const held = JSON.parse(row.leases) as ExtendedLease[];
    const lost = leaving ? [] : (leases ?? []).filter((id) => !held.some((lease) => lease.id === id));
    return { intervalSeconds, leases: held, lost, rotateBy: await this.credentials.rotateBy(caller) };
  }

  /**
   * The last socket at an instance is closed over which an agent said that it is there. It takes its turn behind what
   * the agent has said before.
   * @param sign whether it said goodbye
   */
  async socketsGone(
    agentId: string,
    agent: AgentClaims,
    instanceId: string,
    sign: 'closed' | 'broken',
  ): Promise<void> {
    await this.beats.run({ ...heard(agentId, agent, sign, instanceId), patience: 0, leases: [], ttl: 0 });
  }

  /** Tells of agents that were not heard of in time; until there are none. */
  async loseSilent(): Promise<void> {
    for (let lost = BATCH; lost >= BATCH;) lost = await this.lose();
  }

  private async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    try {
      await this.loseSilent();
      this.fault.passed();
    } catch (error) {
      this.fault.failed(error);
    } finally {
      this.looking = false;
    }
  }

  private async lose(): Promise<number> {
    const [row] = await this.statements.run<{ lost: string; events: string | null }>(LOSE_AGENTS, [BATCH]);
    this.announcements.announce(eventsOf([row]));
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
      this.logger.warn(`Cannot count the agents: ${reasonOf(error)}`);
    }
  }
}

const heard = (
  agentId: string,
  { workspaceId }: AgentClaims,
  sign: Sign,
  instanceId: string | undefined,
): Pick<HeartbeatInput, 'agent_id' | 'workspace_id' | 'event_id' | 'sign' | 'instance_id'> => ({
  agent_id: agentId,
  workspace_id: workspaceId,
  event_id: newId(),
  sign,
  instance_id: instanceId,
});
