import { Injectable } from '@nestjs/common';
import { type EntityManager, In } from 'typeorm';
import { normaliseEmail } from '../accounts/email.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import type { PageQuery } from '../common/pagination.js';
import { Representation } from '../common/representation.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Transactions } from '../database/transactions.js';
import { type Appended, AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import { Invitation } from './invitation.entity.js';
import { hashOf, InvitationMails } from './invitation-mails.js';
import {
  type InvitationList,
  type InvitationResponse,
  type InvitationRow,
  type InviteRequest,
  toInvitationResponse,
} from './invitations.dto.js';
import * as sql from './invitations.sql.js';
import { Membership, type Role, ROLES } from './membership.entity.js';
import type { Caller } from './requires.js';
import { type LockedWorkspace, lockWorkspace, requireOwnersManager } from './workspace-lock.js';
import { readPage } from './workspace-list.js';
import { toWorkspaceResponse, type WorkspaceResponse, type WorkspaceRow } from './workspaces.dto.js';
import {
  AlreadyMember,
  InvalidInvitation,
  InvitationNotFound,
  OtherAddress,
  TooMany,
} from './workspaces.errors.js';
import { MEMBER_ADDED, memberEvent } from './workspaces.events.js';
import { written } from './workspaces.service.js';

/** How long an invitation is good for, in seconds. */
const TTL_SECONDS = 7 * 86_400;
/** Per workspace. */
const MAX_INVITATIONS = 100;
const MAX_MEMBERS = 1_000;

/** Membership by e-mail: a token that is good once, for a week, and for the invited address alone. */
@Injectable()
export class InvitationsService {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly transactions: Transactions,
    private readonly appending: AppendingTransactions,
    private readonly epoch: Epoch,
    private readonly kept: KeptAnswers,
    private readonly mails: InvitationMails,
    private readonly audit: AuditTrail,
  ) {}

  /**
   * Invites an address, by mail. An earlier invitation of the same address stops working.
   * @throws {import('./workspaces.errors.js').WorkspaceNotFound}
   * @throws {import('../common/problem.js').Forbidden}, for owners {@link import('./workspaces.errors.js').OwnersOnly}
   * @throws {AlreadyMember}
   * @throws {TooMany}
   */
  async invite(
    caller: Caller<'members:manage'>,
    workspaceId: string,
    request: InviteRequest,
    client: ClientInfo,
  ): Promise<Representation<InvitationResponse>> {
    const { role } = request;
    const email = normaliseEmail(request.email);
    return this.transactions.run(async (manager) => {
      const workspace = await lockWorkspace(manager, caller, workspaceId);
      requireOwnersManager(workspace, role);
      if ((await manager.query<unknown[]>(sql.IS_MEMBER, [workspaceId, email])).length > 0)
        throw new AlreadyMember();
      await manager.query(sql.DELETE_EXPIRED, [workspaceId]);
      await withdraw(manager, workspace, email);
      if ((await manager.countBy(Invitation, { workspaceId })) >= MAX_INVITATIONS)
        throw new TooMany('invitations', MAX_INVITATIONS);
      await requireRoom(manager, workspaceId);
      const id = newId();
      const token = hashOf(this.mails.tokenOf(id));
      const values = [id, workspaceId, email, role, token, caller.id, TTL_SECONDS];
      const [row] = await manager.query<InvitationRow[]>(sql.INSERT, values);
      await this.record('invitation.created', caller, workspaceId, { email, role }, client, manager);
      await this.mails.enqueue(manager, id);
      const answer = Representation.of(toInvitationResponse(row));
      await this.kept.keep(manager, caller, answer);
      return answer;
    });
  }

  /**
   * The open invitations of a workspace, oldest first.
   * @throws {import('./workspaces.errors.js').WorkspaceNotFound}
   * @throws {import('../common/problem.js').Forbidden}
   */
  async list(
    caller: Caller<'members:manage'>,
    workspaceId: string,
    query: PageQuery,
  ): Promise<InvitationList> {
    const page = await readPage(this.statements, sql.LIST_INVITATIONS, caller, workspaceId, query);
    return { data: page.rows.map(toInvitationResponse), nextCursor: page.nextCursor };
  }

  /**
   * Withdraws an invitation: its token stops working.
   * @throws {import('./workspaces.errors.js').WorkspaceNotFound}
   * @throws {import('../common/problem.js').Forbidden}, for owners {@link import('./workspaces.errors.js').OwnersOnly}
   * @throws {InvitationNotFound}
   */
  async withdraw(
    caller: Caller<'members:manage'>,
    workspaceId: string,
    id: string,
    client: ClientInfo,
  ): Promise<void> {
    await this.transactions.run(async (manager) => {
      const workspace = await lockWorkspace(manager, caller, workspaceId);
      if (!(await withdraw(manager, workspace, id))) throw new InvitationNotFound();
      await this.record('invitation.withdrawn', caller, workspaceId, { id }, client, manager);
    });
  }

  /**
   * Makes the caller a member, if the token was sent to the address of the caller's account. Having read the mail
   * proves that the address is theirs, so it counts as verified from here on.
   * @throws {InvalidInvitation}
   * @throws {OtherAddress}
   * @throws {AlreadyMember}
   * @throws {TooMany}
   */
  async accept(
    principal: Principal,
    token: string,
    client: ClientInfo,
  ): Promise<Representation<WorkspaceResponse>> {
    const work = async (manager: EntityManager) => {
      const { workspaceId, role } = await this.redeem(manager, principal, token);
      const principalId = principal.id;
      if (await manager.existsBy(Membership, { workspaceId, principalId })) throw new AlreadyMember();
      await requireRoom(manager, workspaceId);
      await manager.insert(Membership, { workspaceId, principalId, role });
      await manager.query(sql.PROVE_ADDRESS, [principalId]);
      const entry = { client, userId: principalId, workspaceId, principalId, detail: { to: role } };
      await this.audit.record({ action: 'member.added', ...entry }, manager);
      const member = { principal_id: principalId, role, version: '1' };
      return {
        answer: await written(manager, workspaceId, principalId),
        events: [memberEvent(MEMBER_ADDED, workspaceId, principalId, member)],
      };
    };
    const represent = ({ answer: row, events }: Appended<WorkspaceRow>) =>
      Representation.of(toWorkspaceResponse(row), {
        version: Number(row.version),
        cursor: formatCursor(this.epoch.current, events[0].seq),
      });
    return represent(await this.appending.run(work, this.kept.last(principal, represent, 200)));
  }

  /** Uses an invitation up, with the account and the workspace locked: of several who try at once, one succeeds. */
  private async redeem(
    manager: EntityManager,
    principal: Principal,
    token: string,
  ): Promise<{ workspaceId: string; role: Role }> {
    const hash = hashOf(token);
    const [account] = await manager.query<{ email: string }[]>(sql.LOCK_ACCEPTING, [principal.id]);
    const [found] = await manager.query<{ workspace_id: string }[]>(sql.WORKSPACE_OF, [hash]);
    if (!found) throw new InvalidInvitation();
    const workspaceId = found.workspace_id;
    await manager.query(sql.LOCK_INVITING, [workspaceId]);
    // Again, after the wait: it may have been used, replaced or withdrawn.
    const [invitation] = await manager.query<InvitationRow[]>(sql.FIND_BY_TOKEN, [hash]);
    if (!invitation) throw new InvalidInvitation();
    if (invitation.email !== account?.email) throw new OtherAddress();
    await manager.query(sql.DELETE, [invitation.id]);
    return { workspaceId, role: invitation.role };
  }

  private async record(
    action: string,
    caller: Caller,
    workspaceId: string,
    detail: Readonly<Record<string, string>>,
    client: ClientInfo,
    manager: EntityManager,
  ): Promise<void> {
    await this.audit.record({ action, client, workspaceId, principalId: caller.id, detail }, manager);
  }
}

/** @param which an id or an address @returns whether there was such an open invitation */
async function withdraw(manager: EntityManager, workspace: LockedWorkspace, which: string): Promise<boolean> {
  const [found] = await manager.query<InvitationRow[]>(sql.FIND, [workspace.id, which]);
  if (!found) return false;
  requireOwnersManager(workspace, found.role);
  await manager.query(sql.DELETE, [found.id]);
  return true;
}

async function requireRoom(manager: EntityManager, workspaceId: string): Promise<void> {
  if ((await manager.countBy(Membership, { workspaceId, role: In([...ROLES]) })) >= MAX_MEMBERS)
    throw new TooMany('members', MAX_MEMBERS);
}
