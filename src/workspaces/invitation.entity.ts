import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn, Unique } from 'typeorm';
import type { Role } from './membership.entity.js';
import { Workspace } from './workspace.entity.js';

/** An open invitation: gone once it is accepted, withdrawn or replaced, and within the hour once it has expired. */
@Entity('invitations')
@Unique('invitations_token_hash_key', ['tokenHash'])
@Unique('invitations_workspace_id_email_key', ['workspaceId', 'email'])
@Index('invitations_expires_at_idx', ['expiresAt'])
@Check('invitations_role_check', "role IN ('owner', 'admin', 'member', 'viewer')")
export class Invitation {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'invitations_pkey' })
  id: string;

  @ForeignKey(() => Workspace, { name: 'invitations_workspace_id_fkey', onDelete: 'CASCADE' })
  @Column('uuid', { name: 'workspace_id' })
  workspaceId: string;

  /** Normalised, as accounts keep theirs. */
  @Column('text')
  email: string;

  /** What the invited will be. */
  @Column('text')
  role: Role;

  /** SHA-256 of the token in the mail. */
  @Column('bytea', { name: 'token_hash' })
  tokenHash: Buffer;

  @Column('uuid', { name: 'invited_by' })
  invitedBy: string;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;
}
