import { ApiProperty } from '@nestjs/swagger';
import { pageOf } from '../common/pagination.js';
import { rfc3339 } from '../common/rfc3339.js';

/** What an entry may tell beside its columns. */
export type AuditDetail = Readonly<Record<string, string | number | boolean | null>>;

/** A security event. */
export class AuditEntryResponse {
  /** UUID, in order of time. */
  id: string;
  /** What happened: `session.opened`, `member.updated` and the like. */
  action: string;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** Whose account it concerns: UUID; null if nobody's. */
  userId: string | null;
  /** The workspace it concerns: UUID; null if none. */
  workspaceId: string | null;
  /** Who did it: UUID; null if nobody is known. */
  principalId: string | null;
  /** The IP address that it was done from. */
  address: string;
  /** What the client called itself (`User-Agent`); null if it did not say. */
  userAgent: string | null;
  /** The `X-Request-Id` of the request. */
  requestId: string;
  /** Further facts, by name; never a secret. */
  @ApiProperty({
    type: 'object',
    additionalProperties: {
      oneOf: [{ type: 'string' }, { type: 'number' }, { type: 'boolean' }, { type: 'null' }],
    },
  })
  detail: AuditDetail;
}

export class AuditEntryList {
  data: AuditEntryResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** The columns of an {@link AuditEntryRow}, of `audit_entries a`. */
export const AUDIT_COLUMNS = `a.id, a.action, a.created_at, a.user_id, a.workspace_id, a.principal_id, a.address,
  a.user_agent, a.request_id, a.detail`;

/** Every column as PostgreSQL's text. */
export interface AuditEntryRow {
  id: string;
  action: string;
  created_at: string;
  user_id: string | null;
  workspace_id: string | null;
  principal_id: string | null;
  address: string;
  user_agent: string | null;
  request_id: string;
  detail: string;
}

/** @param rows one more than `limit` if there is another page */
export function toAuditEntryList(rows: readonly AuditEntryRow[], limit: number): AuditEntryList {
  return pageOf(rows, limit, toAuditEntry, ({ id }) => id);
}

export function toAuditEntry(row: AuditEntryRow): AuditEntryResponse {
  return {
    id: row.id,
    action: row.action,
    createdAt: rfc3339(row.created_at),
    userId: row.user_id,
    workspaceId: row.workspace_id,
    principalId: row.principal_id,
    address: row.address,
    userAgent: row.user_agent,
    requestId: row.request_id,
    detail: JSON.parse(row.detail) as AuditDetail,
  };
}
