import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, IsUUID, Matches, ValidateIf } from 'class-validator';
import { PageQuery } from '../common/pagination.js';
import { rfc3339 } from '../common/rfc3339.js';
import { VISIBILITIES, type Visibility } from './custom-room.entity.js';

const NAME = 'must be a text of 1 to 200 characters on one line';
const Name = (): PropertyDecorator =>
  applyDecorators(
    Matches(/^(?=.*\S)[^\p{Cc}\p{Zl}\p{Zp}]{1,200}$/u, { message: NAME }),
    IsString({ message: NAME }),
  );
const MayBeMissing = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);

export class CreateRoomRequest {
  @Name()
  name: string;

  /** `public`: for every member of the workspace; `private`: for the room's own members. It stays so. */
  @IsIn(VISIBILITIES, { message: `must be one of ${VISIBILITIES.join(', ')}` })
  @ApiProperty({ enum: VISIBILITIES })
  visibility: Visibility;

  /** The caller's personal workspace when left out. */
  @MayBeMissing()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;
}

/** A JSON Merge Patch (RFC 7396) of what can be written. */
export class UpdateRoomRequest {
  @MayBeMissing()
  @Name()
  name?: string;
}

export class ListRoomsQuery extends PageQuery {
  /** The caller's personal workspace when left out. */
  @IsOptional()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;

  /** `true`: those that were closed; else those that are open. */
  @IsOptional()
  @IsIn(['true', 'false'], { message: 'must be true or false' })
  @ApiProperty({ enum: ['true', 'false'], required: false })
  closed?: 'true' | 'false';
}

/** A room that people made. Sockets join it as `rooms/{id}`. */
export class RoomResponse {
  /** UUID. */
  id: string;
  /** UUID. */
  workspaceId: string;
  name: string;
  @ApiProperty({ enum: VISIBILITIES })
  visibility: Visibility;
  /** Also the ETag, quoted. */
  version: number;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** UUID of the principal. */
  createdBy: string;
  /** RFC 3339, UTC. */
  updatedAt: string;
  /** UUID of the principal. */
  updatedBy: string;
  /** RFC 3339, UTC; null while it is open. */
  closedAt: string | null;
}

export class RoomList {
  /** Newest first. */
  data: RoomResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** The columns of a room, each as PostgreSQL's text. */
export interface RoomRow {
  id: string;
  workspace_id: string;
  name: string;
  visibility: Visibility;
  version: string;
  created_at: string;
  created_by: string;
  updated_at: string;
  updated_by: string;
  closed_at: string | null;
}

export function toRoomResponse(row: RoomRow): RoomResponse {
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    name: row.name,
    visibility: row.visibility,
    version: Number(row.version),
    createdAt: rfc3339(row.created_at),
    createdBy: row.created_by,
    updatedAt: rfc3339(row.updated_at),
    updatedBy: row.updated_by,
    closedAt: row.closed_at === null ? null : rfc3339(row.closed_at),
  };
}
