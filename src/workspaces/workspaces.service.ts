import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccountCreation } from '../accounts/account-creation.js';
import type { User } from '../accounts/user.entity.js';
import type { Principal } from '../common/access.js';
import { newId } from '../common/identifiers.js';
import { decodePageCursor, DEFAULT_LIMIT, encodePageCursor, type PageQuery } from '../common/pagination.js';
import { NotFound } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { Streams } from '../events/streams.js';
import { Membership } from './membership.entity.js';
import { Workspace } from './workspace.entity.js';
import {
  toWorkspaceResponse,
  type WorkspaceList,
  type WorkspaceResponse,
  type WorkspaceRow,
} from './workspaces.dto.js';

const COLUMNS = `w.id, w.name, (w.personal_user_id = m.principal_id) IS TRUE AS personal, m.role, w.version,
  w.created_at, w.updated_at`;

const READ: Statement = {
  name: 'workspaces.read',
  text: `SELECT ${COLUMNS} FROM workspaces w
    JOIN memberships m ON m.workspace_id = w.id AND m.principal_id = $2
    WHERE w.id = $1`,
};

const LIST: Statement = {
  name: 'workspaces.list',
  text: `SELECT ${COLUMNS} FROM memberships m JOIN workspaces w ON w.id = m.workspace_id
    WHERE m.principal_id = $1 AND ($2::uuid IS NULL OR w.id > $2)
    ORDER BY w.id LIMIT $3`,
};

/** Tenancy: the workspaces themselves and who belongs to them. */
@Injectable()
export class WorkspacesService implements OnModuleInit {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly accountCreation: AccountCreation,
    private readonly streams: Streams,
  ) {}

  onModuleInit(): void {
    this.accountCreation.add((manager, user) => this.createPersonal(manager, user));
  }

  /** @throws {NotFound} if there is none of which the caller is a member */
  async read(principal: Principal, id: string): Promise<Representation<WorkspaceResponse>> {
    const [row] = await this.statements.run<WorkspaceRow>(READ, [id, principal.id]);
    if (!row) throw new NotFound('There is no such workspace, or you are not a member of it.');
    return Representation.of(toWorkspaceResponse(row), { version: Number(row.version) });
  }

  /** The caller's workspaces, oldest first. */
  async list(principal: Principal, query: PageQuery): Promise<WorkspaceList> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const rows = await this.statements.run<WorkspaceRow>(LIST, [
      principal.id,
      decodePageCursor(query.cursor),
      limit + 1,
    ]);
    const data = rows.slice(0, limit).map(toWorkspaceResponse);
    const last = data.at(-1);
    return { data, nextCursor: rows.length > limit && last ? encodePageCursor(last.id) : null };
  }

  private async createPersonal(manager: EntityManager, user: User): Promise<void> {
    const id = newId();
    await manager.insert(Workspace, { id, name: 'Personal', personalUserId: user.id });
    await manager.insert(Membership, { workspaceId: id, principalId: user.id, role: 'owner' });
    await this.streams.create(manager, id);
  }
}
