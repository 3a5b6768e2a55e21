import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import type { VersionCondition } from '../common/conditional.js';
import { Representation } from '../common/representation.js';
import { AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { MembershipEndings } from '../workspaces/membership-endings.js';
import type { Caller } from '../workspaces/requires.js';
import { requireVersion } from '../workspaces/workspace-lock.js';
import { AgentGrants } from './agent-grants.js';
import { lockAgent } from './agent-lock.js';
import { type AgentPatch, type MetadataPatch, patchedAgent, patchedMetadata } from './agent-patches.js';
import type { AgentStatus } from './agent.entity.js';
import {
  type AgentFields,
  type AgentResponse,
  type AgentRow,
  toAgentFields,
  toAgentResponse,
} from './agents.dto.js';
import { AGENT_DELETED, AGENT_DISABLED, AGENT_ENABLED, AGENT_UPDATED, agentEvent } from './agents.events.js';
import { DELETE_AGENT, DELETE_MEMBERSHIP, SET_ROLE, UPDATE_AGENT } from './agents.sql.js';

/** What makes another content of one. */
type Change = (before: AgentFields) => AgentFields;

/** Changes of agents, one after another: patched, disabled, enabled, deleted. */
@Injectable()
export class AgentChanges {
  constructor(
    private readonly appending: AppendingTransactions,
    private readonly epoch: Epoch,
    private readonly audit: AuditTrail,
    private readonly grants: AgentGrants,
    private readonly endings: MembershipEndings,
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
    const change: Change = (before) => ({ ...before, metadata: patchedMetadata(before.metadata, patch) });
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
      const ending = { principalId: id, workspaceIds: [before.workspace_id], endedBy: caller.id };
      const lost = await this.endings.run(manager, ending);
      await manager.query(DELETE_AGENT, [id]);
      await manager.query(DELETE_MEMBERSHIP, [before.workspace_id, id]);
      await this.record('agent.deleted', caller, before, client, manager);
      const last = { ...before, version: String(Number(before.version) + 1), updated_by: caller.id };
      return {
        answer: undefined,
        events: [agentEvent(AGENT_DELETED, caller.id, last), ...lost],
        takesAccess: true,
      };
    });
    tell?.();
    return Representation.empty({ cursor: formatCursor(this.epoch.current, events[0].seq) });
  }

  private async change(
    caller: Caller<'agents:manage'>,
    id: string,
    change: Change,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<AgentResponse>> {
    let tell: (() => void) | undefined;
    const { answer: row, events } = await this.appending.run(async (manager) => {
      const before = await lockAgent(manager, caller, id);
      requireVersion(Number(before.version), ifMatch);
      const content = change(toAgentFields(before));
      const after = await write(manager, caller, id, content);
      tell = await this.enforce(manager, caller, before, after, client);
      return {
        answer: after,
        events: [agentEvent(eventType(before, after), caller.id, after)],
        takesAccess: before.status !== after.status && after.status === 'disabled',
      };
    });
    tell?.();
    return Representation.of(toAgentResponse(row), {
      version: Number(row.version),
      cursor: formatCursor(this.epoch.current, events[0].seq),
    });
  }

  /** Whoever may do less than before learns it at once: the tokens that say otherwise end. */
  private async enforce(
    manager: EntityManager,
    caller: Caller,
    before: AgentRow,
    after: AgentRow,
    client: ClientInfo,
  ): Promise<(() => void) | undefined> {
    const { id, workspace_id: workspaceId, status } = after;
    if (before.status !== status) {
      await manager.query(SET_ROLE, [workspaceId, id, status === 'enabled' ? 'agent' : 'suspended']);
      await this.record(`agent.${status}`, caller, after, client, manager);
    }
    const [had, has] = [before, after].map(({ scopes }) => JSON.parse(scopes) as string[]);
    if (before.scopes !== after.scopes)
      await this.record('agent.scopes-changed', caller, after, client, manager, {
        from: had.join(' '),
        to: has.join(' '),
      });
    const lost = had.some((scope) => !has.includes(scope));
    return lost || (before.status !== status && status === 'disabled')
      ? this.grants.end(manager, [id])
      : undefined;
  }

  private async record(
    action: string,
    caller: Caller,
    { id, workspace_id: workspaceId }: AgentRow,
    client: ClientInfo,
    manager: EntityManager,
    detail: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const entry = { client, workspaceId, principalId: caller.id, detail: { agentId: id, ...detail } };
    await this.audit.record({ action, ...entry }, manager);
  }
}

async function write(
  manager: EntityManager,
  caller: Caller,
  id: string,
  content: AgentFields,
): Promise<AgentRow> {
  const { name, kind, labels, metadata, capabilities, scopes, status } = content;
  const [[row]] = await manager.query<[AgentRow[], number]>(UPDATE_AGENT, [
    id,
    name,
    kind,
    JSON.stringify(labels),
    JSON.stringify(metadata),
    capabilities,
    scopes,
    status,
    caller.id,
  ]);
  return row;
}

function eventType(before: AgentRow, after: AgentRow): string {
  if (before.status === after.status) return AGENT_UPDATED;
  return after.status === 'enabled' ? AGENT_ENABLED : AGENT_DISABLED;
}
