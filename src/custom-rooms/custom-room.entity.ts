import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { Workspace } from '../workspaces/workspace.entity.js';

export const VISIBILITIES = ['public', 'private'] as const;
/** `public`: every member of the workspace is in it; `private`: its own members alone. */
export type Visibility = (typeof VISIBILITIES)[number];

/** A room that people made, in a workspace. */
@Entity('rooms')
@Check('rooms_visibility_check', "visibility IN ('public', 'private')")
@Index('rooms_workspace_id_id_idx', ['workspaceId', 'id'])
@Index('rooms_closed_at_idx', ['closedAt'], { where: 'closed_at IS NOT NULL' })
export class CustomRoom {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'rooms_pkey' })
  id: string;

  @ForeignKey(() => Workspace, { name: 'rooms_workspace_id_fkey', onDelete: 'CASCADE' })
  @Column('uuid', { name: 'workspace_id' })
  workspaceId: string;

  @Column('text')
  name: string;

  /** Never changes: what was said among few stays among them. */
  @Column('text')
  visibility: Visibility;

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

  /** Since when nobody says anything any more. */
  @Column('timestamptz', { name: 'closed_at', nullable: true })
  closedAt: Date | null;
}
