import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { Workspace } from './workspace.entity.js';

/** What a person can be in a workspace. */
export const ROLES = ['owner', 'admin', 'member', 'viewer'] as const;
/** Agents have a role that nobody is given: `agent` or, while they are disabled, `suspended`. */
export type Role = (typeof ROLES)[number] | 'agent' | 'suspended';

/**
 * What a principal may do in a workspace. Users and agents both stand here, so that one join authorises
 * either; hence no foreign key on the principal.
 */
@Entity('memberships')
@Check('memberships_role_check', "role IN ('owner', 'admin', 'member', 'viewer', 'agent', 'suspended')")
@Index('memberships_principal_id_idx', ['principalId'])
export class Membership {
  @ForeignKey(() => Workspace, { name: 'memberships_workspace_id_fkey', onDelete: 'CASCADE' })
  @PrimaryColumn('uuid', { name: 'workspace_id', primaryKeyConstraintName: 'memberships_pkey' })
  workspaceId: string;

  @PrimaryColumn('uuid', { name: 'principal_id', primaryKeyConstraintName: 'memberships_pkey' })
  principalId: string;

  @Column('text')
  role: Role;

  @Column('integer', { default: 1 })
  version: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;
}
