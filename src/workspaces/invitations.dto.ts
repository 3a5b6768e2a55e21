import { ApiProperty } from '@nestjs/swagger';
import { IsEmailAddress, IsMailedToken } from '../accounts/credential-rules.js';
import { rfc3339 } from '../common/rfc3339.js';
import { IsRole } from './members.dto.js';
import { type Role, ROLES } from './membership.entity.js';

export class InviteRequest {
  @IsEmailAddress()
  email: string;

  /** What the invited will be. */
  @IsRole()
  @ApiProperty({ enum: ROLES })
  role: Role;
}

export class AcceptInvitationRequest {
  /** What the link in the mail carries. */
  @IsMailedToken()
  token: string;
}

/** An open invitation. Its token is in the mail and nowhere else. */
export class InvitationResponse {
  /** UUID. */
  id: string;
  /** UUID. */
  workspaceId: string;
  /** Only an account with this address can accept. */
  email: string;
  @ApiProperty({ enum: ROLES })
  role: Role;
  /** UUID of the principal. */
  invitedBy: string;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** RFC 3339, UTC. */
  expiresAt: string;
}

export class InvitationList {
  data: InvitationResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** The columns of an invitation, each as PostgreSQL's text. */
export interface InvitationRow {
  id: string;
  workspace_id: string;
  email: string;
  role: Role;
  invited_by: string;
  created_at: string;
  expires_at: string;
}

export function toInvitationResponse(row: InvitationRow): InvitationResponse {
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    email: row.email,
    role: row.role,
    invitedBy: row.invited_by,
    createdAt: rfc3339(row.created_at),
    expiresAt: rfc3339(row.expires_at),
  };
}
