import { Injectable } from '@nestjs/common';
import {
  AUDIT_COLUMNS,
  type AuditEntryList,
  type AuditEntryRow,
  toAuditEntryList,
} from '../audit/audit.dto.js';
import { decodePageCursor, DEFAULT_LIMIT, type PageQuery } from '../common/pagination.js';
import { Forbidden } from '../common/problem.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { rolesWith } from './permissions.js';
import type { Caller } from './requires.js';
import { WorkspaceNotFound } from './workspaces.errors.js';

/** No row: the caller is no member. One row without an entry: none left, or none that the role may see. */
const LIST: Statement = {
  name: 'workspaces.audit',
  text: `SELECT me.role = ANY ($5) AS allowed, found.* FROM memberships me
    LEFT JOIN LATERAL (
      SELECT ${AUDIT_COLUMNS} FROM audit_entries a
      WHERE a.workspace_id = me.workspace_id AND ($3::uuid IS NULL OR a.id < $3)
      ORDER BY a.id DESC LIMIT $4
    ) found ON me.role = ANY ($5)
    WHERE me.workspace_id = $1 AND me.principal_id = $2 ORDER BY found.id DESC`,
};

/** What the audit trail tells a workspace's admins about it. */
@Injectable()
export class WorkspaceAuditService {
  constructor(private readonly statements: PipelinedStatements) {}

  /**
   * What happened to a workspace, newest first.
   * @throws {WorkspaceNotFound}
   * @throws {Forbidden}
   */
  async list(caller: Caller<'audit:read'>, workspaceId: string, query: PageQuery): Promise<AuditEntryList> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const rows = await this.statements.run<{ allowed: 't' | 'f' } & AuditEntryRow>(LIST, [
      workspaceId,
      caller.id,
      decodePageCursor(query.cursor),
      limit + 1,
      rolesWith(caller.permission),
    ]);
    const [first] = rows;
    if (!first) throw new WorkspaceNotFound();
    if (first.allowed !== 't') throw new Forbidden();
    return toAuditEntryList((first.id as string | null) === null ? [] : rows, limit);
  }
}
