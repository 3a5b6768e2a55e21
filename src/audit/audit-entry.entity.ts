import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** One security event. Rows are only ever added. */
@Entity('audit_entries')
@Index('audit_entries_user_id_id_idx', ['userId', 'id'])
@Index('audit_entries_workspace_id_id_idx', ['workspaceId', 'id'])
export class AuditEntry {
  /** UUIDv7: in order of time. */
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'audit_entries_pkey' })
  id: string;

  /** What happened, `session.opened` and the like. */
  @Column('text')
  action: string;

  /** Whose account it concerns. */
  @Column('uuid', { name: 'user_id', nullable: true })
  userId: string | null;

  /** The workspace it concerns. */
  @Column('uuid', { name: 'workspace_id', nullable: true })
  workspaceId: string | null;

  /** Who did it, if somebody known. */
  @Column('uuid', { name: 'principal_id', nullable: true })
  principalId: string | null;

  @Column('text')
  address: string;

  @Column('text', { name: 'user_agent', nullable: true })
  userAgent: string | null;

  @Column('text', { name: 'request_id' })
  requestId: string;

  /** Further facts; never a secret. */
  @Column('jsonb')
  detail: unknown;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;
}
