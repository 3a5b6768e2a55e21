import { ApiProperty } from '@nestjs/swagger';
import { IsInt, IsOptional, IsUUID, Max, Min, ValidateIf } from 'class-validator';
import { PageQuery } from '../common/pagination.js';
import { rfc3339 } from '../common/rfc3339.js';
import { MAX_VERSION, NO_VERSION } from './item-history.dto.js';
import { ItemResponse, type ItemRow, toItemResponse } from './items.dto.js';

export class ListTrashQuery extends PageQuery {
  /** The caller's personal workspace when left out. */
  @IsOptional()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;
}

export class RestoreItemRequest {
  /** An older version to go back to. Without it, a deleted item comes back as it was. */
  @ValidateIf((_, value) => value !== undefined)
  @IsInt({ message: NO_VERSION })
  @Min(1, { message: NO_VERSION })
  @Max(MAX_VERSION, { message: NO_VERSION })
  version?: number;
}

/** An item in the trash; its `version` is that of the deletion. */
export class TrashedItemResponse extends ItemResponse {
  /** RFC 3339, UTC. */
  deletedAt: string;
  /** UUID of the principal. */
  deletedBy: string;
  /** RFC 3339, UTC: until then it can be brought back, at least; null: for ever. */
  @ApiProperty({ type: String, nullable: true })
  keptUntil: string | null;
}

export class TrashList {
  data: TrashedItemResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** The columns of an item in the trash, each as PostgreSQL's text. */
export interface TrashedItemRow extends Omit<ItemRow, 'updated_at' | 'updated_by'> {
  deleted_at: string;
  deleted_by: string;
  kept_until: string | null;
}

/** A {@link TrashedItemResponse} as JSON text. The deletion is the last change. */
export function toTrashedItem(row: TrashedItemRow): string {
  const item = toItemResponse({ ...row, updated_at: row.deleted_at, updated_by: row.deleted_by });
  const keptUntil = row.kept_until === null ? null : rfc3339(row.kept_until);
  return (
    `${item.slice(0, -1)},"deletedAt":"${rfc3339(row.deleted_at)}","deletedBy":"${row.deleted_by}",` +
    `"keptUntil":${JSON.stringify(keptUntil)}}`
  );
}
