import { rfc3339 } from '../common/rfc3339.js';

/** A login of one's own that is alive. */
export class MySessionResponse {
  /** UUID. */
  id: string;
  /** What the client called itself at the login (`User-Agent`); null if it did not say. */
  device: string | null;
  /** The IP address of the latest use. */
  address: string;
  /** RFC 3339, UTC: the login. */
  createdAt: string;
  /** RFC 3339, UTC: the latest refresh, or the login. */
  lastUsedAt: string;
  /** RFC 3339, UTC: when it ends if it is not refreshed before, and at the latest. */
  expiresAt: string;
  /** Whether this very call was made in it. */
  current: boolean;
}

export class MySessionList {
  data: MySessionResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** A row of the statement in `my-sessions.service.ts`, every column as PostgreSQL's text. */
export interface MySessionRow {
  id: string;
  user_agent: string | null;
  address: string;
  created_at: string;
  last_used_at: string;
  expires_at: string;
}

/** @param currentId the session in which it is asked for */
export function toMySession(row: MySessionRow, currentId: string): MySessionResponse {
  return {
    id: row.id,
    device: row.user_agent,
    address: row.address,
    createdAt: rfc3339(row.created_at),
    lastUsedAt: rfc3339(row.last_used_at),
    expiresAt: rfc3339(row.expires_at),
    current: row.id === currentId,
  };
}
