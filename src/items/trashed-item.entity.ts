import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { Workspace } from '../workspaces/workspace.entity.js';

/** An item that was deleted and can be brought back. An id is here or in `items`, never in both. */
@Entity('trashed_items')
@Index('trashed_items_workspace_id_deleted_at_id_idx', ['workspaceId', 'deletedAt', 'id'])
@Index('trashed_items_deleted_at_idx', ['deletedAt'])
export class TrashedItem {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'trashed_items_pkey' })
  id: string;

  @ForeignKey(() => Workspace, { name: 'trashed_items_workspace_id_fkey', onDelete: 'CASCADE' })
  @Column('uuid', { name: 'workspace_id' })
  workspaceId: string;

  @Column({ type: 'text', collation: 'C' })
  type: string;

  @Column({ type: 'text', collation: 'C' })
  title: string;

  @Column('jsonb')
  data: Record<string, unknown>;

  /** That of the deletion; a restored item goes on from it. */
  @Column('integer')
  version: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('uuid', { name: 'created_by' })
  createdBy: string;

  @Column('timestamptz', { name: 'deleted_at', default: () => 'now()' })
  deletedAt: Date;

  @Column('uuid', { name: 'deleted_by' })
  deletedBy: string;
}
