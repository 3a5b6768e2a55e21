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

  /** PHC string of argon2id. */
  @Column('text', { name: 'password_hash' })
  passwordHash: string;

  @Column('integer', { default: 1 })
  version: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;
}
