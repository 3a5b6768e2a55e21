import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { decodePageCursor, DEFAULT_LIMIT, pageOf } from '../common/pagination.js';
import { Representation } from '../common/representation.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { type Appended, AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import { Membership } from '../workspaces/membership.entity.js';
import type { Caller } from '../workspaces/requires.js';
import { WorkspaceDeletion } from '../workspaces/workspace-deletion.js';
import { lockWorkspace } from '../workspaces/workspace-lock.js';
import { WorkspaceNotFound } from '../workspaces/workspaces.errors.js';
import { AgentCredential } from './agent-credential.entity.js';
import { AgentGrants } from './agent-grants.js';
import { Agent } from './agent.entity.js';
import {
  type AgentList,
  type AgentResponse,
  type AgentRow,
  type CreateAgentRequest,
  type CreatedAgentResponse,
  type ListAgentsQuery,
  toAgentResponse,
} from './agents.dto.js';
import { AgentNotFound, TooManyAgents } from './agents.errors.js';
import { AGENT_CREATED, agentEvent } from './agents.events.js';
import { COUNT_AGENTS, INSERT_AGENT, LIST_AGENTS, READ_AGENT } from './agents.sql.js';
import { hashOfSecret, newClientSecret } from './client-secrets.js';
import { personalWorkspace } from './personal-workspace.js';

/** How many agents a workspace may have. */
const MAX_AGENTS = 10_000;

/** What a new agent is. */
export type NewAgent = Pick<
  CreateAgentRequest,
  'name' | 'kind' | 'labels' | 'metadata' | 'capabilities' | 'scopes'
>;

/** The agents of workspaces: made, read and listed. */
@Injectable()
export class AgentsService implements OnModuleInit {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly appending: AppendingTransactions,
    private readonly epoch: Epoch,
    private readonly kept: KeptAnswers,
    private readonly audit: AuditTrail,
    private readonly grants: AgentGrants,
    private readonly workspaceDeletion: WorkspaceDeletion,
  ) {}

  onModuleInit(): void {
    this.workspaceDeletion.add(async (manager, workspaceId) => {
      const agents = await manager.find(Agent, { select: { id: true }, where: { workspaceId } });
      // Told to nobody before the commit: every instance, this one, too, finds it by looking.
      await this.grants.end(
        manager,
        agents.map(({ id }) => id),
      );
      await manager.delete(Agent, { workspaceId });
    });
  }

  /**
   * Makes an agent with a secret.
   * @throws {WorkspaceNotFound}
   * @throws {import('../common/problem.js').Forbidden} for whoever may not manage agents
   * @throws {TooManyAgents}
   */
  async create(
    caller: Caller<'agents:manage'>,
    { workspaceId: named, ...request }: CreateAgentRequest,
    client: ClientInfo,
  ): Promise<Representation<CreatedAgentResponse>> {
    const clientSecret = newClientSecret();
    const work = async (manager: EntityManager) => {
      const workspace = await lockWorkspace(
        manager,
        caller,
        named ?? (await personalWorkspace(manager, caller.id)),
      );
      const agent = await this.add(manager, workspace.id, caller.id, request, client);
      await manager.insert(AgentCredential, {
        id: newId(),
        agentId: agent.id,
        kind: 'secret',
        sessionId: newId(),
        secretHash: hashOfSecret(clientSecret),
        createdBy: caller.id,
      });
      return { answer: agent, events: [agentEvent(AGENT_CREATED, caller.id, agent)] };
    };
    const represent = ({ answer: row, events }: Appended<AgentRow>) =>
      Representation.of<CreatedAgentResponse>(Object.assign(toAgentResponse(row), { clientSecret }), {
        version: Number(row.version),
        cursor: formatCursor(this.epoch.current, events[0].seq),
        location: `/v1/agents/${row.id}`,
        secret: true,
      });
    return represent(await this.appending.run(work, this.kept.last(caller, represent)));
  }

  /**
   * Adds an agent without credentials to a locked workspace; the event is the caller's to append.
   * @throws {TooManyAgents}
   */
  async add(
    manager: EntityManager,
    workspaceId: string,
    by: string,
    { name, kind, labels = {}, metadata = {}, capabilities = [], scopes = [] }: NewAgent,
    client: ClientInfo,
  ): Promise<AgentRow> {
    const [{ agents }] = await manager.query<[{ agents: number }]>(COUNT_AGENTS, [workspaceId]);
    if (agents >= MAX_AGENTS) throw new TooManyAgents(MAX_AGENTS);
    const id = newId();
    const [row] = await manager.query<AgentRow[]>(INSERT_AGENT, [
      id,
      workspaceId,
      name,
      kind,
      JSON.stringify(labels),
      JSON.stringify(metadata),
      capabilities,
      scopes,
      by,
    ]);
    await manager.insert(Membership, { workspaceId, principalId: id, role: 'agent' });
    const detail = { agentId: id, scopes: scopes.join(' ') };
    const entry = { client, workspaceId, principalId: by, detail };
    await this.audit.record({ action: 'agent.created', ...entry }, manager);
    return row;
  }

  /** @throws {AgentNotFound} */
  async read(caller: Caller<'agents:read'>, id: string): Promise<Representation<AgentResponse>> {
    const [row] = await this.statements.run<AgentRow & { head: string }>(READ_AGENT, [id, caller.id]);
    if (!row) throw new AgentNotFound();
    return Representation.of(toAgentResponse(row), {
      version: Number(row.version),
      cursor: formatCursor(this.epoch.current, Number(row.head)),
      workspaceId: row.workspace_id,
    });
  }

  /**
   * The agents of a workspace, newest first.
   * @throws {WorkspaceNotFound}
   */
  async list(caller: Caller<'agents:read'>, query: ListAgentsQuery): Promise<Representation<AgentList>> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const rows = await this.statements.run<AgentRow & { head: string }>(LIST_AGENTS, [
      caller.id,
      query.workspaceId ?? caller.agent?.workspaceId ?? null,
      decodePageCursor(query.cursor),
      limit + 1,
      query.kind ?? null,
      query.status ?? null,
      query.labels === undefined ? null : labelsOf(query.labels),
    ]);
    const [first] = rows;
    if (!first) throw new WorkspaceNotFound();
    const found = (first.id as string | null) === null ? [] : rows;
    const page = pageOf(found, limit, toAgentResponse, ({ id }) => id);
    const cursor = formatCursor(this.epoch.current, Number(first.head));
    return Representation.of(page, { cursor });
  }
}

/** `region=eu,zone=a` as the JSON object that an agent must contain. */
function labelsOf(text: string): string {
  const pairs = text.split(',').map((pair) => {
    const at = pair.indexOf('=');
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
  return JSON.stringify(Object.fromEntries(pairs));
}
