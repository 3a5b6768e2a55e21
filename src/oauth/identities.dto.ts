import { rfc3339 } from '../common/rfc3339.js';

/** Who the caller is at a provider. */
export class IdentityResponse {
  /** UUID. */
  id: string;
  /** The provider's name in paths. */
  provider: string;
  issuer: string;
  /** What the provider called the person's address when this was linked; null if it named none. */
  email: string | null;
  /** RFC 3339, UTC: when it was linked. */
  createdAt: string;
}

export class IdentityList {
  data: IdentityResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** A row of the statement in `identities.service.ts`, every column as PostgreSQL's text. */
export interface IdentityRow {
  id: string;
  provider: string;
  issuer: string;
  email: string | null;
  created_at: string;
}

export function toIdentityResponse(row: IdentityRow): IdentityResponse {
  return {
    id: row.id,
    provider: row.provider,
    issuer: row.issuer,
    email: row.email,
    createdAt: rfc3339(row.created_at),
  };
}
