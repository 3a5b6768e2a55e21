import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsUUID } from 'class-validator';
import { rfc3339 } from '../common/rfc3339.js';
import { ROOM_ROLES, type RoomRole } from './room-member.entity.js';

const IsRoomRole = (): PropertyDecorator =>
  IsIn(ROOM_ROLES, { message: `must be one of ${ROOM_ROLES.join(', ')}` });

export class AddRoomMemberRequest {
  /** A member of the workspace. */
  @IsUUID('all', { message: 'must be a UUID' })
  principalId: string;

  @IsRoomRole()
  @ApiProperty({ enum: ROOM_ROLES })
  role: RoomRole;
}

export class UpdateRoomMemberRequest {
  @IsRoomRole()
  @ApiProperty({ enum: ROOM_ROLES })
  role: RoomRole;
}

/** Somebody with a role of their own in a room. */
export class RoomMemberResponse {
  /** UUID. */
  principalId: string;
  @ApiProperty({ enum: ['user', 'agent'] })
  kind: 'user' | 'agent';
  /** Null for agents. */
  email: string | null;
  name: string | null;
  @ApiProperty({ enum: ROOM_ROLES })
  role: RoomRole;
  /** Of the membership; also the ETag, quoted. */
  version: number;
  /** Since when, RFC 3339, UTC. */
  createdAt: string;
  /** RFC 3339, UTC. */
  updatedAt: string;
}

export class RoomMemberList {
  data: RoomMemberResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** The columns of a room's member, each as PostgreSQL's text. */
export interface RoomMemberRow {
  principal_id: string;
  kind: 'user' | 'agent';
  email: string | null;
  name: string | null;
  role: RoomRole;
  version: string;
  created_at: string;
  updated_at: string;
}

export function toRoomMemberResponse(row: RoomMemberRow): RoomMemberResponse {
  return {
    principalId: row.principal_id,
    kind: row.kind,
    email: row.email,
    name: row.name,
    role: row.role,
    version: Number(row.version),
    createdAt: rfc3339(row.created_at),
    updatedAt: rfc3339(row.updated_at),
  };
}
