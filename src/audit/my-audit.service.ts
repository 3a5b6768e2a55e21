import { Injectable } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import { decodePageCursor, DEFAULT_LIMIT, type PageQuery } from '../common/pagination.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { AUDIT_COLUMNS, type AuditEntryList, type AuditEntryRow, toAuditEntryList } from './audit.dto.js';

const LIST: Statement = {
  name: 'audit.mine',
  text: `SELECT ${AUDIT_COLUMNS} FROM audit_entries a
    WHERE a.user_id = $1 AND ($2::uuid IS NULL OR a.id < $2) ORDER BY a.id DESC LIMIT $3`,
};

/** What the audit trail tells people about their own account. */
@Injectable()
export class MyAuditService {
  constructor(private readonly statements: PipelinedStatements) {}

  /** What happened to the caller's account, newest first. */
  async list(principal: Principal, query: PageQuery): Promise<AuditEntryList> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const rows = await this.statements.run<AuditEntryRow>(LIST, [
      principal.id,
      decodePageCursor(query.cursor),
      limit + 1,
    ]);
    return toAuditEntryList(rows, limit);
  }
}
