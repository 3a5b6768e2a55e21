import { IsIn } from 'class-validator';
import { ApiProperty } from '@nestjs/swagger';
import { rfc3339 } from '../common/rfc3339.js';
import { type Role, ROLES } from './membership.entity.js';

/** Of a role in a request. */
export const IsRole = (): PropertyDecorator => IsIn(ROLES, { message: `must be one of ${ROLES.join(', ')}` });

export class UpdateMemberRequest {
  @IsRole()
  @ApiProperty({ enum: ROLES })
  role: Role;
}

/** Somebody who belongs to a workspace. */
export class MemberResponse {
  /** UUID. */
  principalId: string;
  /** Null for members that are not people. */
  email: string | null;
  name: string | null;
  @ApiProperty({ enum: ROLES })
  role: Role;
  /** Of the membership; also the ETag, quoted. */
  version: number;
  /** Since when, RFC 3339, UTC. */
  createdAt: string;
  /** RFC 3339, UTC. */
  updatedAt: string;
}

export class MemberList {
  data: MemberResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** The columns of a member, each as PostgreSQL's text. */
export interface MemberRow {
  principal_id: string;
  email: string | null;
  name: string | null;
  role: Role;
  version: string;
  created_at: string;
  updated_at: string;
}

export function toMemberResponse(row: MemberRow): MemberResponse {
  return {
    principalId: row.principal_id,
    email: row.email,
    name: row.name,
    role: row.role,
    version: Number(row.version),
    createdAt: rfc3339(row.created_at),
    updatedAt: rfc3339(row.updated_at),
  };
}
