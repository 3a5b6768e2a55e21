import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { Workspace } from '../workspaces/workspace.entity.js';

/** A versioned JSON document in a workspace. */
@Entity('items')
@Check('items_data_size_check', 'pg_column_size(data) <= 16777216')
@Index('items_workspace_id_id_idx', ['workspaceId', 'id'])
@Index('items_workspace_id_type_id_idx', ['workspaceId', 'type', 'id'])
@Index('items_workspace_id_updated_at_id_idx', ['workspaceId', 'updatedAt', 'id'])
// GIN: made and kept by migrations.
@Index('items_data_idx', { synchronize: false })
@Index('items_search_idx', { synchronize: false })
export class Item {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'items_pkey' })
  id: string;

  @ForeignKey(() => Workspace, { name: 'items_workspace_id_fkey', onDelete: 'CASCADE' })
  @Column('uuid', { name: 'workspace_id' })
  workspaceId: string;

  @Column({ type: 'text', collation: 'C' })
  type: string;

  @Column({ type: 'text', collation: 'C' })
  title: string;

  /** Changed in SQL only, never by mutating a loaded entity. */
  @Column('jsonb')
  data: Record<string, unknown>;

  /** The ETag, the `If-Match` value, its event's version and the fence of a lease. */
  @Column('integer', { default: 1 })
  version: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('uuid', { name: 'created_by' })
  createdBy: string;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;

  @Column('uuid', { name: 'updated_by' })
  updatedBy: string;

  /** The words of title and data, and the workspace; written by triggers. */
  @Column('tsvector', { nullable: true, select: false })
  search: string | null;
}
