import { Injectable } from '@nestjs/common';
import type { ClientInfo } from '../common/client-info.js';
import type { VersionCondition } from '../common/conditional.js';
import { Representation } from '../common/representation.js';
import { type Appended, AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import { MembershipEndings } from '../workspaces/membership-endings.js';
import type { Caller } from '../workspaces/requires.js';
import { requireVersion } from '../workspaces/workspace-lock.js';
import { type AgentChange, AgentEdits } from './agent-edits.js';
import { AgentEndings, type EndingAgent } from './agent-endings.js';
import { AgentGrants } from './agent-grants.js';
import { lockAgent } from './agent-lock.js';
import { type AgentPatch, type MetadataPatch, patchedAgent, patchedMetadata } from './agent-patches.js';
import type { AgentStatus } from './agent.entity.js';
import { type AgentResponse, type AgentRow, toAgentResponse } from './agents.dto.js';
import { AGENT_DELETED, agentEvent } from './agents.events.js';
import { DELETE_AGENT, DELETE_MEMBERSHIP } from './agents.sql.js';

/** What callers change of agents: patched, disabled, enabled, deleted. */
@Injectable()
export class AgentChanges {
  constructor(
    private readonly appending: AppendingTransactions,
    private readonly epoch: Epoch,
    private readonly edits: AgentEdits,
    private readonly kept: KeptAnswers,
    private readonly grants: AgentGrants,
    private readonly endings: MembershipEndings,
    private readonly agentEndings: AgentEndings,
  ) {}

  /**
   * Changes an agent by a merge patch (RFC 7396) or a JSON Patch (RFC 6902) of what can be written.
   * @throws as {@link lockAgent}
   * @throws {import('../common/problem.js').VersionMismatch} if `ifMatch` does not hold
   * @throws {import('../common/json-patch.js').PatchResultRefused} if the result is no agent
   */
  update(
    caller: Caller<'agents:manage'>,
    id: string,
    patch: AgentPatch,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<AgentResponse>> {
    return this.change(caller, id, (before) => patchedAgent(before, patch), ifMatch, client);
  }

  /** Changes the metadata alone, by a patch of that document. @throws as {@link update} */
  updateMetadata(
    caller: Caller<'agents:manage'>,
    id: string,
    patch: MetadataPatch,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<AgentResponse>> {
    const change: AgentChange = (before) => ({
      ...before,
      metadata: patchedMetadata(before.metadata, patch),
    });
    return this.change(caller, id, change, ifMatch, client);
  }

  /** Disables an agent, which ends its tokens and sockets within a second, or enables it. @throws as {@link update} */
  setStatus(
    caller: Caller<'agents:manage'>,
    id: string,
    status: AgentStatus,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<AgentResponse>> {
    return this.change(caller, id, (before) => ({ ...before, status }), ifMatch, client);
  }

  /**
   * Deletes an agent with its credentials; what it did stays attributed to its id.
   * @throws as {@link update}
   */
  async delete(
    caller: Caller<'agents:manage'>,
    id: string,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<never>> {
    let tell: (() => void) | undefined;
    const { events } = await this.appending.run(async (manager) => {
      const before = await lockAgent(manager, caller, id);
      requireVersion(Number(before.version), ifMatch);
      tell = await this.grants.end(manager, [id]);
      const { workspace_id: workspaceId } = before;
      const ending: EndingAgent = { agentId: id, workspaceId, endedBy: caller.id, reason: 'deleted' };
      const leaving = { principalId: id, workspaceIds: [workspaceId], endedBy: caller.id };
      const lost = [
        ...(await this.endings.run(manager, leaving)),
        ...(await this.agentEndings.run(manager, ending)),
      ];
      await manager.query(DELETE_AGENT, [id]);
      await manager.query(DELETE_MEMBERSHIP, [workspaceId, id]);
      await this.edits.record('agent.deleted', { id: caller.id, client }, before, manager);
      const last = { ...before, version: String(Number(before.version) + 1), updated_by: caller.id };
      return {
        answer: undefined,
        events: [agentEvent(AGENT_DELETED, caller.id, last), ...lost],
        takesAccess: true,
        late: () => this.agentEndings.run(manager, ending),
      };
    });
    tell?.();
    return Representation.empty({ cursor: formatCursor(this.epoch.current, events[0].seq) });
  }

  private async change(
    caller: Caller<'agents:manage'>,
    id: string,
    change: AgentChange,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<AgentResponse>> {
    const represent = ({ answer: row, events }: Appended<AgentRow>) =>
      Representation.of(toAgentResponse(row), {
        version: Number(row.version),
        cursor: formatCursor(this.epoch.current, events[0].seq),
      });
    const changed = await this.edits.run(
      { id: caller.id, client },
      async (manager) => {
        const before = await lockAgent(manager, caller, id);
        requireVersion(Number(before.version), ifMatch);
        return before;
      },
      change,
      this.kept.last(caller, represent, 200),
    );
    return represent(changed);
  }
}
