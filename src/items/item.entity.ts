import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { Workspace } from '../workspaces/workspace.entity.js';

/** A versioned JSON document in a workspace. */
@Entity('items')
@Index('items_workspace_id_id_idx', ['workspaceId', 'id'])
export class Item {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'items_pkey' })
  id: string;

  @ForeignKey(() => Workspace, { name: 'items_workspace_id_fkey', onDelete: 'CASCADE' })
  @Column('uuid', { name: 'workspace_id' })
  workspaceId: string;

  @Column('text')
  type: string;

  @Column('text')
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
}
