import { Injectable } from '@nestjs/common';
import { createHash, randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { Representation } from '../common/representation.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Transactions } from '../database/transactions.js';
import { AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import type { Caller } from '../workspaces/requires.js';
import { readPage } from '../workspaces/workspace-list.js';
import { lockWorkspace } from '../workspaces/workspace-lock.js';
import { AgentsService } from './agents.service.js';
import { toAgentResponse } from './agents.dto.js';
import { AGENT_CREATED, agentEvent } from './agents.events.js';
import { hashOfSecret, newClientSecret } from './client-secrets.js';
import { INSERT_CREDENTIAL } from './credentials.sql.js';
import {
  type CreatedEnrolmentTokenResponse,
  type CreateEnrolmentTokenRequest,
  type EnrolledAgentResponse,
  type EnrolmentTokenList,
  type EnrolmentTokenRow,
  type EnrolRequest,
  type ListEnrolmentTokensQuery,
  toEnrolmentToken,
} from './enrolment.dto.js';
import { EnrolmentTokenNotFound, InvalidEnrolmentToken, TooManyEnrolmentTokens } from './enrolment.errors.js';
import {
  COUNT_ENROLMENT_TOKENS,
  DELETE_ENROLMENT_TOKEN,
  INSERT_ENROLMENT_TOKEN,
  LIST_ENROLMENT_TOKENS,
  LOCK_ENROLLING,
  USE_ENROLMENT_TOKEN,
  WORKSPACE_OF_HASH,
  WORKSPACE_OF_TOKEN,
} from './enrolment.sql.js';
import { personalWorkspace } from './personal-workspace.js';
import { readPublicKey } from './public-keys.js';

const PREFIX = 'ate_';
const MAX_TOKENS = 100;
const DEFAULT_SECONDS = 3_600;

/** Machines that become agents by themselves, by a token that somebody who manages agents gave them. */
@Injectable()
export class Enrolment {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly transactions: Transactions,
    private readonly appending: AppendingTransactions,
    private readonly agents: AgentsService,
    private readonly epoch: Epoch,
    private readonly audit: AuditTrail,
    private readonly kept: KeptAnswers,
  ) {}

  /**
   * Makes a token, which is shown this once.
   * @throws {import('../workspaces/workspaces.errors.js').WorkspaceNotFound}
   * @throws {import('../common/problem.js').Forbidden}
   * @throws {TooManyEnrolmentTokens}
   */
  async create(
    caller: Caller<'agents:manage'>,
    request: CreateEnrolmentTokenRequest,
    client: ClientInfo,
  ): Promise<Representation<CreatedEnrolmentTokenResponse>> {
    const { kind, labels = {}, scopes = [], maxUses = 1, expiresInSeconds = DEFAULT_SECONDS } = request;
    const token = PREFIX + randomBytes(32).toString('base64url');
    return this.transactions.run(async (manager) => {
      const named = request.workspaceId ?? (await personalWorkspace(manager, caller.id));
      const workspace = await lockWorkspace(manager, caller, named);
      const [{ tokens }] = await manager.query<[{ tokens: number }]>(COUNT_ENROLMENT_TOKENS, [workspace.id]);
      if (tokens >= MAX_TOKENS) throw new TooManyEnrolmentTokens(MAX_TOKENS);
      const [made] = await manager.query<EnrolmentTokenRow[]>(INSERT_ENROLMENT_TOKEN, [
        newId(),
        workspace.id,
        hashOf(token),
        kind,
        JSON.stringify(labels),
        scopes,
        maxUses,
        caller.id,
        expiresInSeconds,
      ]);
      await this.record('agent.enrolment-token-created', caller.id, made, client, manager);
      const answer = Representation.of({ ...toEnrolmentToken(made), token }, { secret: true });
      await this.kept.keep(manager, caller, answer);
      return answer;
    });
  }

  /** Those that are still good, newest first. @throws as {@link create} */
  async list(caller: Caller<'agents:manage'>, query: ListEnrolmentTokensQuery): Promise<EnrolmentTokenList> {
    const workspaceId =
      query.workspaceId ?? (await this.transactions.run((manager) => personalWorkspace(manager, caller.id)));
    const page = await readPage(this.statements, LIST_ENROLMENT_TOKENS, caller, workspaceId, query);
    return { data: page.rows.map(toEnrolmentToken), nextCursor: page.nextCursor };
  }

  /**
   * Withdraws a token; the agents that came by it stay.
   * @throws {EnrolmentTokenNotFound}
   * @throws {import('../common/problem.js').Forbidden}
   */
  async remove(caller: Caller<'agents:manage'>, id: string, client: ClientInfo): Promise<void> {
    await this.transactions.run(async (manager) => {
      const [seen] = await manager.query<{ workspace_id: string }[]>(WORKSPACE_OF_TOKEN, [id, caller.id]);
      if (!seen) throw new EnrolmentTokenNotFound();
      await lockWorkspace(manager, caller, seen.workspace_id);
      const [[gone]] = await manager.query<[EnrolmentTokenRow[], number]>(DELETE_ENROLMENT_TOKEN, [id]);
      if ((gone as EnrolmentTokenRow | undefined) === undefined) throw new EnrolmentTokenNotFound();
      await this.record('agent.enrolment-token-deleted', caller.id, gone, client, manager);
    });
  }

  /**
   * Trades a token for an agent of one's own, with a secret or by the public key that was brought. What the agent is
   * and may do is the token's to say.
   * @throws {InvalidEnrolmentToken}
   * @throws {import('./agents.errors.js').TooManyAgents}
   * @throws {import('../common/problem.js').ValidationFailed} if the key is none
   */
  async enrol(request: EnrolRequest, client: ClientInfo): Promise<Representation<EnrolledAgentResponse>> {
    const { token, name, metadata, capabilities } = request;
    const publicKey = request.publicKey && readPublicKey(request.publicKey);
    const clientSecret = publicKey ? undefined : newClientSecret();
    const { answer: row, events } = await this.appending.run(async (manager) => {
      const [seen] = await manager.query<{ workspace_id: string }[]>(WORKSPACE_OF_HASH, [hashOf(token)]);
      if (!seen) throw new InvalidEnrolmentToken();
      await manager.query(LOCK_ENROLLING, [seen.workspace_id]);
      const [[used]] = await manager.query<[EnrolmentTokenRow[], number]>(USE_ENROLMENT_TOKEN, [
        hashOf(token),
      ]);
      if ((used as EnrolmentTokenRow | undefined) === undefined) throw new InvalidEnrolmentToken();
      const { kind, labels, scopes } = toEnrolmentToken(used);
      const by = used.created_by;
      const agent = await this.agents.add(
        manager,
        used.workspace_id,
        by,
        { name, kind, labels, metadata, capabilities, scopes },
        client,
      );
      await manager.query(INSERT_CREDENTIAL, [
        newId(),
        agent.id,
        publicKey ? 'key' : 'secret',
        null,
        clientSecret === undefined ? null : hashOfSecret(clientSecret),
        publicKey === undefined ? null : JSON.stringify(publicKey),
        by,
        null,
      ]);
      await this.record('agent.enrolled', by, used, client, manager, { agentId: agent.id });
      return { answer: agent, events: [agentEvent(AGENT_CREATED, by, agent)] };
    });
    const answer: EnrolledAgentResponse = Object.assign(toAgentResponse(row), { clientSecret });
    return Representation.of(answer, {
      version: Number(row.version),
      cursor: formatCursor(this.epoch.current, events[0].seq),
      location: `/v1/agents/${row.id}`,
    });
  }

  private async record(
    action: string,
    by: string,
    token: EnrolmentTokenRow,
    client: ClientInfo,
    manager: EntityManager,
    more: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const { id, workspace_id: workspaceId, kind } = token;
    const scopes = (JSON.parse(token.scopes) as string[]).join(' ');
    const detail = { enrolmentTokenId: id, kind, scopes, maxUses: Number(token.max_uses), ...more };
    await this.audit.record({ action, client, workspaceId, principalId: by, detail }, manager);
  }
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();
