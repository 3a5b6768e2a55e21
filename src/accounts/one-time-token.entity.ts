import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** Something that was sent to somebody and works once, for a while. Only its hash is kept. */
@Entity('one_time_tokens')
@Index('one_time_tokens_purpose_subject_idx', ['purpose', 'subject'])
@Index('one_time_tokens_expires_at_idx', ['expiresAt'])
export class OneTimeToken {
  /** SHA-256 of the token. */
  @PrimaryColumn('bytea', { primaryKeyConstraintName: 'one_time_tokens_pkey' })
  hash: Buffer;

  /** What it is good for, `verify-email` and the like. */
  @Column('text')
  purpose: string;

  /** Whom or what it is about; a newer token may replace all older ones of the same purpose and subject. */
  @Column('uuid')
  subject: string;

  /** What must be remembered until it is used. */
  @Column('jsonb')
  data: unknown;

  /** Of tokens that may be tried several times: how often they were. */
  @Column('integer', { default: 0 })
  attempts: number;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;
}
