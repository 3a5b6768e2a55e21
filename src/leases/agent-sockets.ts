import { Injectable, Logger } from '@nestjs/common';
import type { AgentClaims } from '../common/access.js';
import { Unauthenticated } from '../common/problem.js';
import { reasonOf } from '../common/reason.js';
import type { Connection } from '../rooms/connection.js';
import { PresenceStore } from '../rooms/presence-store.js';
import type { HeartbeatRequest, HeartbeatResponse } from './heartbeats.dto.js';
import { Heartbeats } from './heartbeats.js';

/** With these, or without any, a client says goodbye (RFC 6455, section 7.4.1); this server closes with none of them. */
const GOODBYES: readonly number[] = [1000, 1001, 1005];

/**
 * The sockets of this instance over which agents say that they are there. With the last one an agent is gone: at once if
 * it has closed it, else unless it comes back within the time that Heartbeats grants.
 */
@Injectable()
export class AgentSockets {
  private readonly logger = new Logger(AgentSockets.name);
  private readonly byAgent = new Map<string, Set<Connection>>();

  constructor(
    private readonly heartbeats: Heartbeats,
    private readonly presences: PresenceStore,
  ) {}

  /**
   * A heartbeat that came over a socket.
   * @throws as {@link Heartbeats.beat}
   */
  async beat(connection: Connection, request: HeartbeatRequest): Promise<HeartbeatResponse> {
    const { principal } = connection;
    if (!principal) throw new Unauthenticated();
    if (principal.agent) this.remember(principal.id, principal.agent, connection);
    return this.heartbeats.beat(principal, request, this.presences.instanceId);
  }

  /** Before the heartbeat itself: whatever the socket's end has to say comes behind it. */
  private remember(agentId: string, agent: AgentClaims, connection: Connection): void {
    const sockets = this.byAgent.get(agentId) ?? new Set();
    if (sockets.has(connection)) return;
    this.byAgent.set(agentId, sockets.add(connection));
    void connection.closed.then((code) => this.forget(agentId, agent, connection, code));
  }

  private async forget(
    agentId: string,
    agent: AgentClaims,
    connection: Connection,
    code: number,
  ): Promise<void> {
    const sockets = this.byAgent.get(agentId);
    sockets?.delete(connection);
    if (sockets === undefined || sockets.size > 0) return;
    this.byAgent.delete(agentId);
    try {
      const sign = GOODBYES.includes(code) ? 'closed' : 'broken';
      await this.heartbeats.socketsGone(agentId, agent, this.presences.instanceId, sign);
    } catch (error) {
      // Then its time runs out.
      this.logger.warn(`Cannot tell that an agent has gone: ${reasonOf(error)}`);
    }
  }
}
