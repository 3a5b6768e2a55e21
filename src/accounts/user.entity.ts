import { Column, Entity, PrimaryColumn, Unique } from 'typeorm';

/** A person with an account. */
@Entity('users')
@Unique('users_email_key', ['email'])
export class User {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'users_pkey' })
  id: string;

  /** Normalised, see `normaliseEmail`. */
  @Column('text')
  email: string;

  @Column('text', { nullable: true })
  name: string | null;

  /** PHC string of argon2id; null for an account that signs in by other means only. */
  @Column('text', { name: 'password_hash', nullable: true })
  passwordHash: string | null;

  /** When the address was proven to be this person's. */
  @Column('timestamptz', { name: 'email_verified_at', nullable: true })
  emailVerifiedAt: Date | null;

  /** Since when nobody can sign in. */
  @Column('timestamptz', { name: 'disabled_at', nullable: true })
  disabledAt: Date | null;

  /** Rises when the password changes: a proof given before opens no session after. */
  @Column('integer', { name: 'credentials_version', default: 1 })
  credentialsVersion: number;

  @Column('integer', { default: 1 })
  version: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;
}
