import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { Membership } from '../workspaces/membership.entity.js';
import { CustomRoom } from './custom-room.entity.js';

export const ROOM_ROLES = ['moderator', 'speaker', 'listener'] as const;
export type RoomRole = (typeof ROOM_ROLES)[number];

/** What a member of the workspace may do in one of its rooms. Whoever leaves the workspace leaves its rooms. */
@Entity('room_members')
@Check('room_members_role_check', "role IN ('moderator', 'speaker', 'listener')")
@Index('room_members_workspace_id_principal_id_idx', ['workspaceId', 'principalId'])
@ForeignKey(() => Membership, ['workspaceId', 'principalId'], ['workspaceId', 'principalId'], {
  name: 'room_members_membership_fkey',
  onDelete: 'CASCADE',
})
export class RoomMember {
  @ForeignKey(() => CustomRoom, { name: 'room_members_room_id_fkey', onDelete: 'CASCADE' })
  @PrimaryColumn('uuid', { name: 'room_id', primaryKeyConstraintName: 'room_members_pkey' })
  roomId: string;

  @PrimaryColumn('uuid', { name: 'principal_id', primaryKeyConstraintName: 'room_members_pkey' })
  principalId: string;

  @Column('uuid', { name: 'workspace_id' })
  workspaceId: string;

  @Column('text')
  role: RoomRole;

  @Column('integer', { default: 1 })
  version: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;
}
