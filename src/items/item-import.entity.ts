import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { Workspace } from '../workspaces/workspace.entity.js';

export const IMPORT_STATES = ['uploading', 'queued', 'running', 'done', 'failed', 'cancelled'] as const;
export type ImportState = (typeof IMPORT_STATES)[number];

/** Many items that come as one file, how far it is, and what came of it. */
@Entity('item_imports')
@Check('item_imports_format_check', "format IN ('ndjson', 'csv')")
@Check(
  'item_imports_state_check',
  "state IN ('uploading', 'queued', 'running', 'done', 'failed', 'cancelled')",
)
@Index('item_imports_workspace_id_idx', ['workspaceId'])
@Index('item_imports_created_by_idx', ['createdBy'], { where: 'finished_at IS NULL' })
@Index('item_imports_updated_at_idx', ['updatedAt'])
export class ItemImport {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'item_imports_pkey' })
  id: string;

  @ForeignKey(() => Workspace, { name: 'item_imports_workspace_id_fkey', onDelete: 'CASCADE' })
  @Column('uuid', { name: 'workspace_id' })
  workspaceId: string;

  @Column('text')
  format: string;

  @Column('boolean', { name: 'dry_run' })
  dryRun: boolean;

  @Column('text', { default: 'uploading' })
  state: ImportState;

  @Column('text', { nullable: true })
  failure: string | null;

  @Column('bigint', { name: 'received_bytes', default: 0 })
  receivedBytes: string;

  /** Everything before it is done, and forgotten. */
  @Column('bigint', { name: 'read_bytes', default: 0 })
  readBytes: string;

  @Column('integer', { name: 'read_lines', default: 0 })
  readLines: number;

  /** The header of CSV, once it is read. */
  @Column('jsonb', { nullable: true })
  columns: string[] | null;

  @Column('integer', { default: 0 })
  processed: number;

  @Column('integer', { default: 0 })
  created: number;

  @Column('integer', { default: 0 })
  refused: number;

  @Column('integer', { default: 1 })
  version: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('uuid', { name: 'created_by' })
  createdBy: string;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;

  /** The SHA-256 of the `Idempotency-Key` under which it began, until that request is answered. */
  @Column('bytea', { name: 'request_key', nullable: true })
  requestKey: Buffer | null;

  /** The types of items that whoever began it could write then; all of them when null. */
  @Column('text', { array: true, nullable: true })
  writable: string[] | null;

  /** Of the newest event. */
  @Column('timestamptz', { name: 'told_at', default: () => 'now()' })
  toldAt: Date;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt: Date | null;
}

/** What was uploaded and is not read yet. */
@Entity('item_import_chunks')
export class ItemImportChunk {
  @ForeignKey(() => ItemImport, { name: 'item_import_chunks_import_id_fkey', onDelete: 'CASCADE' })
  @PrimaryColumn('uuid', { name: 'import_id', primaryKeyConstraintName: 'item_import_chunks_pkey' })
  importId: string;

  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'item_import_chunks_pkey' })
  start: string;

  @Column('bytea')
  bytes: Buffer;
}

/** A line that became no item. */
@Entity('item_import_refusals')
export class ItemImportRefusal {
  @ForeignKey(() => ItemImport, { name: 'item_import_refusals_import_id_fkey', onDelete: 'CASCADE' })
  @PrimaryColumn('uuid', { name: 'import_id', primaryKeyConstraintName: 'item_import_refusals_pkey' })
  importId: string;

  @PrimaryColumn('integer', { primaryKeyConstraintName: 'item_import_refusals_pkey' })
  line: number;

  @Column('jsonb')
  errors: { pointer: string; detail: string }[];
}
