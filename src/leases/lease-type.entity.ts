import { Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm';
import { Workspace } from '../workspaces/workspace.entity.js';

/** A type of items that agents of the workspace work on. */
@Entity('lease_types')
export class LeaseType {
  @ForeignKey(() => Workspace, { name: 'lease_types_workspace_id_fkey', onDelete: 'CASCADE' })
  @PrimaryColumn('uuid', { name: 'workspace_id', primaryKeyConstraintName: 'lease_types_pkey' })
  workspaceId: string;

  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'lease_types_pkey' })
  type: string;

  /** How many of them may be leased at a time; null: any number. */
  @Column('integer', { nullable: true })
  concurrency: number | null;

  /** How often one is tried before it is dead. */
  @Column('integer', { default: 5 })
  attempts: number;

  /** Counts the claims while there is a limit, so that of two at the same time one sees the other. */
  @Column('bigint', { default: 0 })
  claims: string;
}
