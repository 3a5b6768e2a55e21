import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import type { VersionCondition } from '../common/conditional.js';
import type { PageQuery } from '../common/pagination.js';
import { Representation } from '../common/representation.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { type Role, ROLES } from './membership.entity.js';
import { type MemberList, type MemberResponse, type MemberRow, toMemberResponse } from './members.dto.js';
import {
  LIST_MEMBERS,
  OTHER_OWNER,
  READ_MEMBER,
  REMOVE_MEMBER,
  TOUCH_WORKSPACE,
  UPDATE_MEMBER,
  WITHDRAW_INVITATIONS,
} from './members.sql.js';
import { MembershipEndings } from './membership-endings.js';
import { may } from './permissions.js';
import type { Caller } from './requires.js';
import {
  type LockedWorkspace,
  lockWorkspace,
  requireOwnersManager,
  requireVersion,
} from './workspace-lock.js';
import { readPage } from './workspace-list.js';
import { LastOwner, MemberNotFound, PersonalWorkspace } from './workspaces.errors.js';
import { MEMBER_REMOVED, MEMBER_UPDATED, memberEvent } from './workspaces.events.js';

/** Who belongs to a workspace, and as what. Changes happen one after another, so an owner is left at all times. */
@Injectable()
export class MembersService {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly appending: AppendingTransactions,
    private readonly epoch: Epoch,
    private readonly audit: AuditTrail,
    private readonly endings: MembershipEndings,
  ) {}

  /**
   * The members of a workspace, in the order in which their accounts were made.
   * @throws {import('./workspaces.errors.js').WorkspaceNotFound}
   * @throws {import('../common/problem.js').Forbidden}
   */
  async list(caller: Caller<'members:read'>, workspaceId: string, query: PageQuery): Promise<MemberList> {
    const page = await readPage(this.statements, LIST_MEMBERS, caller, workspaceId, query);
    return { data: page.rows.map(toMemberResponse), nextCursor: page.nextCursor };
  }

  /**
   * Gives a member another role; an owner hands the workspace over by making somebody else an owner.
   * @throws {import('./workspaces.errors.js').WorkspaceNotFound}
   * @throws {MemberNotFound}
   * @throws {import('../common/problem.js').Forbidden}, for what concerns owners {@link import('./workspaces.errors.js').OwnersOnly}
   * @throws {LastOwner}
   * @throws {PersonalWorkspace}
   * @throws {import('../common/problem.js').VersionMismatch} if `ifMatch` does not hold
   */
  async update(
    caller: Caller<'members:manage'>,
    workspaceId: string,
    principalId: string,
    role: Role,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<MemberResponse>> {
    const { answer, events } = await this.appending.run(async (manager) => {
      const workspace = await lockWorkspace(manager, caller, workspaceId);
      const before = await member(manager, workspaceId, principalId);
      requireOwnersManager(workspace, before.role, role);
      requireVersion(Number(before.version), ifMatch);
      if (before.role === 'owner' && role !== 'owner')
        await requireOtherOwner(manager, workspace, principalId);
      await manager.query(UPDATE_MEMBER, [workspaceId, principalId, role]);
      await manager.query(TOUCH_WORKSPACE, [workspaceId]);
      await withdrawInvitations(manager, workspaceId, principalId, role);
      const detail = { from: before.role, to: role };
      await this.record('member.updated', caller, workspaceId, principalId, detail, client, manager);
      const after = await member(manager, workspaceId, principalId);
      return {
        answer: after,
        events: [memberEvent(MEMBER_UPDATED, workspaceId, caller.id, after)],
        takesAccess: true,
      };
    });
    return Representation.of(toMemberResponse(answer), {
      version: Number(answer.version),
      cursor: formatCursor(this.epoch.current, events[0].seq),
    });
  }

  /**
   * Ends a membership; one's own: leaves.
   * @returns the cursor of the end: nothing after it reaches the one who is gone
   * @throws as {@link update}
   */
  async remove(
    caller: Caller<'members:manage'>,
    workspaceId: string,
    principalId: string,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<Representation<never>> {
    const { events } = await this.appending.run(async (manager) => {
      const workspace = await lockWorkspace(manager, caller, workspaceId, principalId);
      const before = await member(manager, workspaceId, principalId);
      if (principalId !== caller.id) requireOwnersManager(workspace, before.role);
      requireVersion(Number(before.version), ifMatch);
      if (before.role === 'owner') await requireOtherOwner(manager, workspace, principalId);
      const ending = { principalId, workspaceIds: [workspaceId], endedBy: caller.id };
      const lost = await this.endings.run(manager, ending);
      await manager.query(REMOVE_MEMBER, [workspaceId, principalId]);
      await withdrawInvitations(manager, workspaceId, principalId, undefined);
      const detail = { from: before.role };
      await this.record('member.removed', caller, workspaceId, principalId, detail, client, manager);
      const last = { ...before, version: String(Number(before.version) + 1) };
      return {
        answer: undefined,
        events: [memberEvent(MEMBER_REMOVED, workspaceId, caller.id, last), ...lost],
        takesAccess: true,
      };
    });
    return Representation.empty({ cursor: formatCursor(this.epoch.current, events[0].seq) });
  }

  private async record(
    action: string,
    caller: Caller,
    workspaceId: string,
    userId: string,
    detail: Readonly<Record<string, string>>,
    client: ClientInfo,
    manager: EntityManager,
  ): Promise<void> {
    await this.audit.record({ action, client, userId, workspaceId, principalId: caller.id, detail }, manager);
  }
}

async function member(manager: EntityManager, workspaceId: string, principalId: string): Promise<MemberRow> {
  const [row] = await manager.query<MemberRow[]>(READ_MEMBER, [workspaceId, principalId]);
  if (!row) throw new MemberNotFound();
  return row;
}

/** A personal workspace keeps its own owner, any other keeps some. */
async function requireOtherOwner(
  manager: EntityManager,
  workspace: LockedWorkspace,
  principalId: string,
): Promise<void> {
  if (workspace.personal_user_id === principalId) throw new PersonalWorkspace();
  const others = await manager.query<unknown[]>(OTHER_OWNER, [workspace.id, principalId]);
  if (others.length === 0) throw new LastOwner();
}

async function withdrawInvitations(
  manager: EntityManager,
  workspaceId: string,
  principalId: string,
  role: Role | undefined,
): Promise<void> {
  const invitable = ROLES.filter(
    (invited) => role && may(role, invited === 'owner' ? 'owners:manage' : 'members:manage'),
  );
  await manager.query(WITHDRAW_INVITATIONS, [workspaceId, principalId, invitable]);
}
