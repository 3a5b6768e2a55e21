import { Column, Entity, ForeignKey, PrimaryColumn, Unique } from 'typeorm';
import { User } from '../accounts/user.entity.js';

/** The tenant. */
@Entity('workspaces')
@Unique('workspaces_personal_user_id_key', ['personalUserId'])
export class Workspace {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'workspaces_pkey' })
  id: string;

  @Column('text')
  name: string;

  /** The user whose personal workspace this is. */
  @ForeignKey(() => User, { name: 'workspaces_personal_user_id_fkey' })
  @Column('uuid', { name: 'personal_user_id', nullable: true })
  personalUserId: string | null;

  /** Whether changes of items must say by `If-Match` which version they start from. */
  @Column('boolean', { name: 'require_if_match', default: false })
  requireIfMatch: boolean;

  @Column('integer', { default: 1 })
  version: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;
}
