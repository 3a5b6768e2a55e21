import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { Workspace } from '../workspaces/workspace.entity.js';

/** By what machines become agents of a workspace by themselves, for a while and so many times. */
@Entity('agent_enrolment_tokens')
@Check('agent_enrolment_tokens_uses_check', 'uses <= max_uses')
@Index('agent_enrolment_tokens_workspace_id_id_idx', ['workspaceId', 'id'])
@Index('agent_enrolment_tokens_hash_key', ['hash'], { unique: true })
export class AgentEnrolmentToken {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'agent_enrolment_tokens_pkey' })
  id: string;

  @ForeignKey(() => Workspace, {
    name: 'agent_enrolment_tokens_workspace_id_fkey',
    onDelete: 'CASCADE',
  })
  @Column('uuid', { name: 'workspace_id' })
  workspaceId: string;

  /** SHA-256 of the token. */
  @Column('bytea')
  hash: Buffer;

  /** What the agents are; they cannot choose. */
  @Column('text')
  kind: string;

  @Column('jsonb')
  labels: Readonly<Record<string, string>>;

  @Column('text', { array: true })
  scopes: string[];

  @Column('integer', { default: 0 })
  uses: number;

  @Column('integer', { name: 'max_uses' })
  maxUses: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  /** Good as long as this one may manage agents. */
  @Column('uuid', { name: 'created_by' })
  createdBy: string;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;
}
