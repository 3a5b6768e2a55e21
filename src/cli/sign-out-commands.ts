import { Injectable } from '@nestjs/common';
import { SignOuts } from '../accounts/sign-outs.js';
import { AgentGrants } from '../agents/agent-grants.js';
import { AuditTrail } from '../audit/audit-trail.js';
import { OPERATOR } from '../common/client-info.js';
import { Transactions } from '../database/transactions.js';
import { SessionsService } from '../sessions/sessions.service.js';

const REASON = 'operator';

/** Ends what was given to people and agents, in the operator's name; felt on every instance within a second. */
@Injectable()
export class SignOutCommands {
  constructor(
    private readonly transactions: Transactions,
    private readonly signOuts: SignOuts,
    private readonly sessions: SessionsService,
    private readonly grants: AgentGrants,
    private readonly audit: AuditTrail,
  ) {}

  /** Every session of a person. */
  async endAll(userId: string): Promise<void> {
    const tell = await this.transactions.run((manager) =>
      this.signOuts.run(manager, { userId, reason: REASON, client: OPERATOR }),
    );
    tell();
  }

  /** One session. @returns whether it was still alive */
  async endOne(userId: string, sessionId: string): Promise<boolean> {
    const ended = await this.sessions.endOne(userId, sessionId, REASON);
    if (ended)
      await this.audit.record({
        action: 'session.ended',
        client: OPERATOR,
        userId,
        detail: { reason: REASON, sessionId },
      });
    return ended;
  }

  /** Every access token of an agent. Its credentials stay good. */
  async endAgent(agentId: string, workspaceId: string): Promise<void> {
    const tell = await this.transactions.run(async (manager) => {
      const after = await this.grants.end(manager, [agentId]);
      await this.audit.record(
        { action: 'agent.tokens-ended', client: OPERATOR, workspaceId, detail: { agentId } },
        manager,
      );
      return after;
    });
    tell();
  }
}
