import { Injectable } from '@nestjs/common';
import { AUDIT_COLUMNS, type AuditEntryList, type AuditEntryRow, toAuditEntry } from '../audit/audit.dto.js';
import type { PageQuery } from '../common/pagination.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import type { Caller } from './requires.js';
import { readPage, workspaceList } from './workspace-list.js';

const LIST = workspaceList<AuditEntryRow>({
  name: 'workspaces.audit',
  select: `${AUDIT_COLUMNS} FROM audit_entries a WHERE a.workspace_id = me.workspace_id`,
  key: 'id',
  keyColumn: 'a.id',
  newestFirst: true,
});

/** What the audit trail tells a workspace's admins about it. */
@Injectable()
export class WorkspaceAuditService {
  constructor(private readonly statements: PipelinedStatements) {}

  /**
   * What happened to a workspace, newest first.
   * @throws {import('./workspaces.errors.js').WorkspaceNotFound}
   * @throws {import('../common/problem.js').Forbidden}
   */
  async list(caller: Caller<'audit:read'>, workspaceId: string, query: PageQuery): Promise<AuditEntryList> {
    const page = await readPage(this.statements, LIST, caller, workspaceId, query);
    return { data: page.rows.map(toAuditEntry), nextCursor: page.nextCursor };
  }
}
