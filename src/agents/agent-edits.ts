import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import { type ClientInfo, OPERATOR, OPERATOR_ID } from '../common/client-info.js';
import { type Appended, AppendingTransactions } from '../events/appending-transactions.js';
import { AgentEndings, type EndingAgent } from './agent-endings.js';
import { AgentGrants } from './agent-grants.js';
import { lockAgentForOperator } from './agent-lock.js';
import type { AgentStatus } from './agent.entity.js';
import { type AgentFields, type AgentRow, toAgentFields } from './agents.dto.js';
import { AGENT_DISABLED, AGENT_ENABLED, AGENT_UPDATED, agentEvent } from './agents.events.js';
import { SET_ROLE, UPDATE_AGENT } from './agents.sql.js';

/** What makes another content of one. */
export type AgentChange = (before: AgentFields) => AgentFields;

/** Who changes an agent, and from where. */
export interface AgentEditor {
  readonly id: string;
  readonly client: ClientInfo;
}

/** Changes of what an agent is, one after another; whoever may do less than before learns it at once. */
@Injectable()
export class AgentEdits {
  constructor(
    private readonly appending: AppendingTransactions,
    private readonly audit: AuditTrail,
    private readonly grants: AgentGrants,
    private readonly endings: AgentEndings,
  ) {}

  /**
   * Changes an agent, with its event and audit entries.
   * @param lock finds the agent, and keeps others from changing it
   * @param last what must stand or fall with it, and needs the event as it is
   * @returns the agent after it, and the events after the commit
   */
  async run(
    editor: AgentEditor,
    lock: (manager: EntityManager) => Promise<AgentRow>,
    change: AgentChange,
    last?: (manager: EntityManager, done: Appended<AgentRow>) => Promise<void>,
  ): Promise<Appended<AgentRow>> {
    let tell: (() => void) | undefined;
    const done = await this.appending.run(async (manager) => {
      const before = await lock(manager);
      const after = await write(manager, editor, before.id, change(toAgentFields(before)));
      tell = await this.enforce(manager, editor, before, after);
      const ending = endingOf(editor, before, after);
      const lost = ending ? await this.endings.run(manager, ending) : [];
      return {
        answer: after,
        events: [agentEvent(eventType(before, after), editor.id, after), ...lost],
        // Until the stream was held, it may have been given more.
        ...(ending?.reason === 'disabled' && {
          takesAccess: true,
          late: () => this.endings.run(manager, ending),
        }),
      };
    }, last);
    tell?.();
    return done;
  }

  /**
   * Disables or enables an agent as whoever runs the server, whom no workspace knows.
   * @throws {import('./agents.errors.js').AgentNotFound}
   */
  async setStatusForOperator(id: string, status: AgentStatus): Promise<void> {
    const lock = (manager: EntityManager) => lockAgentForOperator(manager, id);
    await this.run({ id: OPERATOR_ID, client: OPERATOR }, lock, (before) => ({ ...before, status }));
  }

  /** Adds an audit entry about an agent. */
  async record(
    action: string,
    { id: by, client }: AgentEditor,
    { id, workspace_id: workspaceId }: AgentRow,
    manager: EntityManager,
    detail: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const entry = { client, workspaceId, principalId: by, detail: { agentId: id, ...detail } };
    await this.audit.record({ action, ...entry }, manager);
  }

  /** The tokens that say more than is so now end. */
  private async enforce(
    manager: EntityManager,
    editor: AgentEditor,
    before: AgentRow,
    after: AgentRow,
  ): Promise<(() => void) | undefined> {
    const { id, workspace_id: workspaceId, status } = after;
    if (before.status !== status) {
      await manager.query(SET_ROLE, [workspaceId, id, status === 'enabled' ? 'agent' : 'suspended']);
      await this.record(`agent.${status}`, editor, after, manager);
    }
    const [had, has] = [before, after].map(({ scopes }) => JSON.parse(scopes) as string[]);
    if (before.scopes !== after.scopes)
      await this.record('agent.scopes-changed', editor, after, manager, {
        from: had.join(' '),
        to: has.join(' '),
      });
    const lost = had.some((scope) => !has.includes(scope));
    return lost || (before.status !== status && status === 'disabled')
      ? this.grants.end(manager, [id])
      : undefined;
  }
}

async function write(
  manager: EntityManager,
  editor: AgentEditor,
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
    editor.id,
  ]);
  return row;
}

/** How the agent may not work any more, if it might. */
function endingOf(editor: AgentEditor, before: AgentRow, after: AgentRow): EndingAgent | undefined {
  const ended = { agentId: after.id, workspaceId: after.workspace_id, endedBy: editor.id };
  if (before.status === 'enabled' && after.status === 'disabled') return { ...ended, reason: 'disabled' };
  const mayWork = ({ scopes }: AgentRow) => (JSON.parse(scopes) as string[]).includes('leases');
  return mayWork(before) && !mayWork(after) ? { ...ended, reason: 'scope_lost' } : undefined;
}

function eventType(before: AgentRow, after: AgentRow): string {
  if (before.status === after.status) return AGENT_UPDATED;
  return after.status === 'enabled' ? AGENT_ENABLED : AGENT_DISABLED;
}
