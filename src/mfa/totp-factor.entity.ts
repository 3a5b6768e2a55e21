import { Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm';
import { User } from '../accounts/user.entity.js';

/** An authenticator app (RFC 6238); an account has one at most. */
@Entity('totp_factors')
export class TotpFactor {
  @ForeignKey(() => User, { name: 'totp_factors_user_id_fkey', onDelete: 'CASCADE' })
  @PrimaryColumn('uuid', { name: 'user_id', primaryKeyConstraintName: 'totp_factors_pkey' })
  userId: string;

  /** Encrypted, see `FactorSecrets`. */
  @Column('bytea')
  secret: Buffer;

  /** The time step of the latest code that was taken: only later ones are good. */
  @Column('bigint', { name: 'last_step', default: 0 })
  lastStep: string;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  /** Since when it is asked for; null while nobody has shown a code of it. */
  @Column('timestamptz', { name: 'confirmed_at', nullable: true })
  confirmedAt: Date | null;
}
