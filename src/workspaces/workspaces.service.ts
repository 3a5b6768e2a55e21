import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccountCreation } from '../accounts/account-creation.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import type { VersionCondition } from '../common/conditional.js';
import { newId } from '../common/identifiers.js';
import { decodePageCursor, DEFAULT_LIMIT, pageOf, type PageQuery } from '../common/pagination.js';
import { Forbidden } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Transactions } from '../database/transactions.js';
import { Announcements } from '../events/announcements.js';
import { AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { Streams } from '../events/streams.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import { Membership } from './membership.entity.js';
import { may, rolesWith } from './permissions.js';
import type { Caller } from './requires.js';
import { Workspace } from './workspace.entity.js';
import { WorkspaceDeletion } from './workspace-deletion.js';
import { lockWorkspace, requireVersion } from './workspace-lock.js';
import {
  type CreateWorkspaceRequest,
  toWorkspaceResponse,
  type UpdateWorkspaceRequest,
  type WorkspaceList,
  type WorkspaceResponse,
  type WorkspaceRow,
} from './workspaces.dto.js';
import { NotConfirmed, PersonalWorkspace, TooMany, WorkspaceNotFound } from './workspaces.errors.js';
import { WORKSPACE_UPDATED, workspaceEvent } from './workspaces.events.js';
import { LIST_WORKSPACES, READ_WORKSPACE, UPDATE_WORKSPACE, WRITTEN_WORKSPACE } from './workspaces.sql.js';

/** How many workspaces one principal may own. */
const MAX_OWNED = 100;

/** Tenancy: the workspaces themselves. */
@Injectable()
export class WorkspacesService implements OnModuleInit {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly transactions: Transactions,
    private readonly appending: AppendingTransactions,
    private readonly announcements: Announcements,
    private readonly streams: Streams,
    private readonly epoch: Epoch,
    private readonly kept: KeptAnswers,
    private readonly deletion: WorkspaceDeletion,
    private readonly audit: AuditTrail,
    private readonly accountCreation: AccountCreation,
  ) {}

  onModuleInit(): void {
    this.accountCreation.add((manager, user) =>
      this.insert(manager, { id: newId(), name: 'Personal', personalUserId: user.id }, user.id),
    );
  }

  /**
   * Creates a workspace that the caller owns.
   * @throws {TooMany} if the caller owns too many already
   */
  async create(
    principal: Principal,
    { name }: CreateWorkspaceRequest,
    client: ClientInfo,
  ): Promise<Representation<WorkspaceResponse>> {
    const id = newId();
    return this.transactions.run(async (manager) => {
      // One after another, so that the count below holds.
      await manager.query('SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE', [principal.id]);
      const owned = await manager.countBy(Membership, { principalId: principal.id, role: 'owner' });
      if (owned >= MAX_OWNED) throw new TooMany('workspaces', MAX_OWNED);
      await this.insert(manager, { id, name, personalUserId: null }, principal.id);
      const entry = { client, workspaceId: id, principalId: principal.id };
      await this.audit.record({ action: 'workspace.created', ...entry }, manager);
      const created = this.represent(await written(manager, id, principal.id), 0, `/v1/workspaces/${id}`);
      await this.kept.keep(manager, principal, created);
      return created;
    });
  }

  /** @throws {WorkspaceNotFound} if there is none of which the caller is a member */
  async read(caller: Caller<'workspace:read'>, id: string): Promise<Representation<WorkspaceResponse>> {
    const [row] = await this.statements.run<WorkspaceRow & { head: string }>(READ_WORKSPACE, [
      id,
      caller.id,
      rolesWith(caller.permission),
    ]);
    if (!row) throw new WorkspaceNotFound();
    return this.represent(row, Number(row.head));
  }

  /** The caller's workspaces, oldest first. */
  async list(principal: Principal, query: PageQuery): Promise<WorkspaceList> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const rows = await this.statements.run<WorkspaceRow>(LIST_WORKSPACES, [
      principal.id,
      decodePageCursor(query.cursor),
      limit + 1,
    ]);
    return pageOf(rows, limit, toWorkspaceResponse, ({ id }) => id);
  }

  /**
   * Renames a workspace, or changes its settings.
   * @throws {WorkspaceNotFound}
   * @throws {Forbidden} for whoever is no admin, and for renaming no owner
   * @throws {import('../common/problem.js').VersionMismatch} if `ifMatch` does not hold
   */
  async update(
    caller: Caller<'workspace:configure'>,
    id: string,
    { name, requireIfMatch, language }: UpdateWorkspaceRequest,
    ifMatch: VersionCondition | undefined,
  ): Promise<Representation<WorkspaceResponse>> {
    const { answer: row, events } = await this.appending.run(async (manager) => {
      const { version, role } = await lockWorkspace(manager, caller, id);
      if (name !== undefined && !may(role, 'workspace:rename')) throw new Forbidden();
      requireVersion(version, ifMatch);
      await manager.query(UPDATE_WORKSPACE, [id, name ?? null, requireIfMatch ?? null, language ?? null]);
      const answer = await written(manager, id, caller.id);
      const workspace = toWorkspaceResponse(answer);
      const data = {
        id,
        version: workspace.version,
        name: workspace.name,
        requireIfMatch: workspace.requireIfMatch,
        language: workspace.language,
      };
      return { answer, events: [workspaceEvent(WORKSPACE_UPDATED, id, caller.id, data)] };
    });
    return this.represent(row, events[0].seq);
  }

  /**
   * Deletes a workspace with everything in it, in one transaction. Its counter stays, so that no `seq` is ever
   * given out twice, and so does the audit trail.
   * @param confirm must be the name
   * @throws {WorkspaceNotFound}
   * @throws {import('../common/problem.js').Forbidden}
   * @throws {PersonalWorkspace}
   * @throws {NotConfirmed}
   * @throws {import('../common/problem.js').VersionMismatch} if `ifMatch` does not hold
   */
  async delete(
    caller: Caller<'workspace:delete'>,
    id: string,
    confirm: string,
    ifMatch: VersionCondition | undefined,
    client: ClientInfo,
  ): Promise<void> {
    const event = await this.transactions.run(async (manager) => {
      const workspace = await lockWorkspace(manager, caller, id);
      if (workspace.personal_user_id !== null) throw new PersonalWorkspace();
      if (confirm !== workspace.name) throw new NotConfirmed();
      requireVersion(workspace.version, ifMatch);
      const entry = { client, workspaceId: id, principalId: caller.id, detail: { name: workspace.name } };
      await this.audit.record({ action: 'workspace.deleted', ...entry }, manager);
      return this.deletion.run(manager, workspace, caller.id);
    });
    this.announcements.announce([event]);
  }

  private represent(row: WorkspaceRow, seq: number, location?: string): Representation<WorkspaceResponse> {
    return Representation.of(toWorkspaceResponse(row), {
      version: Number(row.version),
      cursor: formatCursor(this.epoch.current, seq),
      location,
    });
  }

  private async insert(
    manager: EntityManager,
    workspace: { id: string; name: string; personalUserId: string | null },
    ownerId: string,
  ): Promise<void> {
    await manager.insert(Workspace, workspace);
    await manager.insert(Membership, { workspaceId: workspace.id, principalId: ownerId, role: 'owner' });
    await this.streams.create(manager, workspace.id);
  }
}

/** A workspace as one of its members sees it after what the transaction did. */
export async function written(
  manager: EntityManager,
  id: string,
  principalId: string,
): Promise<WorkspaceRow> {
  const [row] = await manager.query<WorkspaceRow[]>(WRITTEN_WORKSPACE, [id, principalId]);
  return row;
}
