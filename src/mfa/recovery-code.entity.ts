import { Entity, ForeignKey, PrimaryColumn } from 'typeorm';
import { User } from '../accounts/user.entity.js';

/** A recovery code that was not used yet. */
@Entity('recovery_codes')
export class RecoveryCode {
  @ForeignKey(() => User, { name: 'recovery_codes_user_id_fkey', onDelete: 'CASCADE' })
  @PrimaryColumn('uuid', { name: 'user_id', primaryKeyConstraintName: 'recovery_codes_pkey' })
  userId: string;

  /** SHA-256 of the account's id and the code, which has 80 random bits. */
  @PrimaryColumn('bytea', { primaryKeyConstraintName: 'recovery_codes_pkey' })
  hash: Buffer;
}
