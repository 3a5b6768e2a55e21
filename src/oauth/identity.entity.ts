import { Column, Entity, ForeignKey, Index, PrimaryColumn, Unique } from 'typeorm';
import { User } from '../accounts/user.entity.js';

/** Who a person is at a provider. */
@Entity('identities')
@Unique('identities_issuer_subject_key', ['issuer', 'subject'])
@Index('identities_user_id_id_idx', ['userId', 'id'])
export class Identity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'identities_pkey' })
  id: string;

  @ForeignKey(() => User, { name: 'identities_user_id_fkey', onDelete: 'CASCADE' })
  @Column('uuid', { name: 'user_id' })
  userId: string;

  /** What the provider was called in the configuration when this was linked. */
  @Column('text')
  provider: string;

  @Column('text')
  issuer: string;

  /** The provider's own, lasting name for the person. */
  @Column('text')
  subject: string;

  /** What the provider said when this was linked; to be shown, and nothing else. */
  @Column('text', { nullable: true })
  email: string | null;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;
}
