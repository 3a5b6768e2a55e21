import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { Workspace } from '../workspaces/workspace.entity.js';

export const AGENT_STATUSES = ['enabled', 'disabled'] as const;
export type AgentStatus = (typeof AGENT_STATUSES)[number];

/** A machine client of a workspace. Its membership (`agent`, or `suspended`) says that it may do anything there. */
@Entity('agents')
@Check('agents_status_check', "status IN ('enabled', 'disabled')")
@Index('agents_workspace_id_id_idx', ['workspaceId', 'id'])
export class Agent {
  /** Also its `client_id`, and the `sub` of its tokens. */
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'agents_pkey' })
  id: string;

  @ForeignKey(() => Workspace, { name: 'agents_workspace_id_fkey', onDelete: 'CASCADE' })
  @Column('uuid', { name: 'workspace_id' })
  workspaceId: string;

  @Column('text')
  name: string;

  @Column({ type: 'text', collation: 'C' })
  kind: string;

  @Column('jsonb', { default: {} })
  labels: Readonly<Record<string, string>>;

  /** Whatever it or its owners keep about it. */
  @Column('jsonb', { default: {} })
  metadata: Record<string, unknown>;

  /** What it can do, for others to read. */
  @Column('text', { array: true, default: '{}' })
  capabilities: string[];

  /** What it may do. */
  @Column('text', { array: true, default: '{}' })
  scopes: string[];

  @Column('text', { default: 'enabled' })
  status: AgentStatus;

  /** Written at most once a minute, and not counted by `version`. */
  @Column('timestamptz', { name: 'last_seen_at', nullable: true })
  lastSeenAt: Date | null;

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
