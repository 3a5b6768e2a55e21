import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsOptional, IsUUID } from 'class-validator';
import { rfc3339 } from '../common/rfc3339.js';
import { ITEM_FORMATS, type ItemFormat } from './item-export.query.js';
import { IMPORT_STATES, type ImportState } from './item-import.entity.js';
import { ReplaceItemContent } from './items.dto.js';

export class ImportQuery {
  /** By the media type when left out. */
  @IsOptional()
  @IsIn(ITEM_FORMATS, { message: 'must be ndjson or csv' })
  format?: ItemFormat;

  /** Whether everything is only checked, and nothing created. */
  @IsOptional()
  @IsIn(['true', 'false'], { message: 'must be true or false' })
  @ApiProperty({ type: Boolean, required: false, default: false })
  dryRun?: string;

  /** The caller's personal workspace when left out. */
  @IsOptional()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;
}

/** A line of an import. The other members of an exported item are taken, and mean nothing. */
export class ImportedItem extends ReplaceItemContent {}

/** How far an import is, and what came of it. */
export class ImportResponse {
  /** UUID. */
  id: string;
  /** UUID. */
  workspaceId: string;
  @ApiProperty({ enum: ITEM_FORMATS })
  format: string;
  /** Whether everything is only checked. */
  dryRun: boolean;
  @ApiProperty({ enum: IMPORT_STATES })
  state: ImportState;
  /** Why it failed. */
  @ApiProperty({ type: String, nullable: true })
  failure: string | null;
  /** Uploaded so far. */
  receivedBytes: number;
  /** Of those, done. */
  processedBytes: number;
  /** Records that were looked at. */
  processed: number;
  /** Items; none in a dry run. */
  created: number;
  /** Records that became no item. */
  refused: number;
  /** Also the ETag, quoted. */
  version: number;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** UUID of the principal. */
  createdBy: string;
  /** RFC 3339, UTC. */
  updatedAt: string;
  /** RFC 3339, UTC. */
  @ApiProperty({ type: String, nullable: true })
  finishedAt: string | null;
}

export class ImportError {
  /** Where in the record (RFC 6901); empty: as a whole. */
  pointer: string;
  detail: string;
}

export class ImportRefusal {
  /** Where the record begins; the first line is 1. */
  line: number;
  errors: ImportError[];
}

export class ImportRefusalList {
  /** By line. */
  data: ImportRefusal[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** An import as its statements answer it, times and large numbers as PostgreSQL's text. */
export interface ImportRow {
  readonly id: string;
  readonly workspace_id: string;
  readonly format: ItemFormat;
  readonly dry_run: boolean;
  readonly state: ImportState;
  readonly failure: string | null;
  readonly received_bytes: string;
  readonly read_bytes: string;
  readonly read_lines: number;
  readonly columns: string[] | null;
  readonly processed: number;
  readonly created: number;
  readonly refused: number;
  /** Null: of every type. */
  readonly writable: readonly string[] | null;
  readonly version: number;
  readonly created_at: string;
  readonly created_by: string;
  readonly updated_at: string;
  readonly finished_at: string | null;
}

export function toImportResponse(row: ImportRow): ImportResponse {
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    format: row.format,
    dryRun: row.dry_run,
    state: row.state,
    failure: row.failure,
    receivedBytes: Number(row.received_bytes),
    processedBytes: Number(row.read_bytes),
    processed: row.processed,
    created: row.created,
    refused: row.refused,
    version: row.version,
    createdAt: rfc3339(row.created_at),
    createdBy: row.created_by,
    updatedAt: rfc3339(row.updated_at),
    finishedAt: row.finished_at === null ? null : rfc3339(row.finished_at),
  };
}
