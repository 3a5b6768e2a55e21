import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** How often a password or second factor was tried in vain: by an address for an account, for an account, by an address. */
@Entity('password_attempts')
@Check('password_attempts_kind_check', "kind IN ('pair', 'account', 'address', 'factor')")
@Index('password_attempts_last_at_idx', ['lastAt'])
export class PasswordAttempt {
  /** SHA-256: who types a password where the e-mail address belongs leaves no trace of it. */
  @PrimaryColumn('bytea', { primaryKeyConstraintName: 'password_attempts_pkey' })
  key: Buffer;

  @Column('text')
  kind: 'pair' | 'account' | 'address' | 'factor';

  /** At `lastAt`; it lessens by itself from there. */
  @Column('double precision')
  failures: number;

  @Column('timestamptz', { name: 'last_at' })
  lastAt: Date;

  @Column('timestamptz', { name: 'blocked_until', nullable: true })
  blockedUntil: Date | null;

  /** Of pairs: when this account last signed in from this address. */
  @Column('timestamptz', { name: 'signed_in_at', nullable: true })
  signedInAt: Date | null;
}
