import { rfc3339 } from '../common/rfc3339.js';
import type { Role } from './membership.entity.js';

/** A workspace, as one of its members sees it. */
export class WorkspaceResponse {
  /** UUID. */
  id: string;
  name: string;
  /** Whether it came with the caller's account. */
  personal: boolean;
  /** What the caller may do in it. */
  role: Role;
  version: number;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** RFC 3339, UTC. */
  updatedAt: string;
}

export class WorkspaceList {
  data: WorkspaceResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** A row of the statements in `workspaces.service.ts`, every column as PostgreSQL's text. */
export interface WorkspaceRow {
  id: string;
  name: string;
  personal: 't' | 'f';
  role: Role;
  version: string;
  created_at: string;
  updated_at: string;
}

export function toWorkspaceResponse(row: WorkspaceRow): WorkspaceResponse {
  return {
    id: row.id,
    name: row.name,
    personal: row.personal === 't',
    role: row.role,
    version: Number(row.version),
    createdAt: rfc3339(row.created_at),
    updatedAt: rfc3339(row.updated_at),
  };
}
