import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AgentDevices } from '../agents/agent-devices.js';
import { type AgentResponse, type AgentRow, toAgentResponse } from '../agents/agents.dto.js';
import { AGENT_CREATED, agentEvent } from '../agents/agents.events.js';
import { AgentsService } from '../agents/agents.service.js';
import { personalWorkspace } from '../agents/personal-workspace.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { Representation } from '../common/representation.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Transactions } from '../database/transactions.js';
import { type Appended, AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import { PasswordAttempts } from '../rate-limits/password-attempts.js';
import type { Caller } from '../workspaces/requires.js';
import { lockWorkspace } from '../workspaces/workspace-lock.js';
import {
  type ApproveDeviceRequest,
  type DeviceResponse,
  type DeviceRow,
  toDeviceResponse,
} from './devices.dto.js';
import { DeviceNotFound } from './devices.errors.js';
import { APPROVE, DENY, LOCK, READ } from './devices.sql.js';

/** The person's side of the device flow: looks at what waits under a code, and says yes or no. */
@Injectable()
export class DevicesService {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly transactions: Transactions,
    private readonly appending: AppendingTransactions,
    private readonly agents: AgentsService,
    private readonly devices: AgentDevices,
    private readonly attempts: PasswordAttempts,
    private readonly audit: AuditTrail,
    private readonly epoch: Epoch,
    private readonly kept: KeptAnswers,
  ) {}

  /**
   * What waits under a code.
   * @throws {DeviceNotFound}
   * @throws {import('../rate-limits/rate-limits.errors.js').TooManyAttempts} after too many wrong codes
   */
  read(principal: Principal, userCode: string, client: ClientInfo): Promise<DeviceResponse> {
    return this.guarded(principal, client, async () => {
      const [row] = await this.statements.run<DeviceRow>(READ, [normalised(userCode)]);
      if (!row) throw new DeviceNotFound();
      return toDeviceResponse(row);
    });
  }

  /**
   * Makes the machine an agent; the next time that it asks it is given its tokens.
   * @throws as {@link read}
   * @throws {import('../workspaces/workspaces.errors.js').WorkspaceNotFound}
   * @throws {import('../common/problem.js').Forbidden} for whoever may not manage agents
   * @throws {import('../agents/agents.errors.js').TooManyAgents}
   */
  approve(
    caller: Caller<'agents:manage'>,
    userCode: string,
    { workspaceId: named, ...chosen }: ApproveDeviceRequest,
    client: ClientInfo,
  ): Promise<Representation<AgentResponse>> {
    const code = normalised(userCode);
    const work = async (manager: EntityManager) => {
      const wanted = named ?? (await personalWorkspace(manager, caller.id));
      const workspace = await lockWorkspace(manager, caller, wanted);
      const [waiting] = await manager.query<DeviceRow[]>(LOCK, [code]);
      if (!waiting) throw new DeviceNotFound();
      const { name, kind, scopes } = toDeviceResponse(waiting);
      const described = {
        name: chosen.name ?? name,
        kind: chosen.kind ?? kind,
        scopes: chosen.scopes ?? scopes,
        labels: chosen.labels,
      };
      const agent = await this.agents.add(manager, workspace.id, caller.id, described, client);
      const credentialId = await this.devices.add(manager, agent.id, caller.id);
      await manager.query(APPROVE, [code, credentialId]);
      const detail = { agentId: agent.id, credentialId, address: waiting.address };
      const entry = { client, workspaceId: workspace.id, principalId: caller.id, detail };
      await this.audit.record({ action: 'device.approved', ...entry }, manager);
      return { answer: agent, events: [agentEvent(AGENT_CREATED, caller.id, agent)] };
    };
    const represent = ({ answer: row, events }: Appended<AgentRow>) =>
      Representation.of(toAgentResponse(row), {
        version: Number(row.version),
        cursor: formatCursor(this.epoch.current, events[0].seq),
      });
    return this.guarded(caller, client, async () =>
      represent(await this.appending.run(work, this.kept.last(caller, represent, 200))),
    );
  }

  /** Says no: the machine is told so, and the code is good no more. @throws as {@link read} */
  deny(principal: Principal, userCode: string, client: ClientInfo): Promise<void> {
    return this.guarded(principal, client, () =>
      this.transactions.run(async (manager) => {
        const [denied] = await manager.query<[unknown[], number]>(DENY, [normalised(userCode)]);
        if (denied.length === 0) throw new DeviceNotFound();
        const entry = { client, userId: principal.id, principalId: principal.id };
        await this.audit.record({ action: 'device.denied', ...entry }, manager);
        await this.kept.keep(manager, principal, Representation.empty(), 204);
      }),
    );
  }

  /** Codes are short: who tries them in vain has to wait, longer each time (RFC 8628, section 5.1). */
  private guarded<T>(principal: Principal, client: ClientInfo, work: () => Promise<T>): Promise<T> {
    return this.attempts.run(`device code ${principal.id}`, client, DeviceNotFound, work);
  }
}

/** However it was typed. */
const normalised = (userCode: string): string => userCode.toUpperCase().replaceAll(/[^A-Z]/g, '');
