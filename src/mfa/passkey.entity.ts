import { Column, Entity, ForeignKey, Index, PrimaryColumn, Unique } from 'typeorm';
import { User } from '../accounts/user.entity.js';

/** A passkey (WebAuthn): its public half. */
@Entity('passkeys')
@Unique('passkeys_credential_id_key', ['credentialId'])
@Index('passkeys_user_id_id_idx', ['userId', 'id'])
export class Passkey {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'passkeys_pkey' })
  id: string;

  @ForeignKey(() => User, { name: 'passkeys_user_id_fkey', onDelete: 'CASCADE' })
  @Column('uuid', { name: 'user_id' })
  userId: string;

  /** The authenticator's name for it, base64url. */
  @Column('text', { name: 'credential_id' })
  credentialId: string;

  /** A COSE key. */
  @Column('bytea', { name: 'public_key' })
  publicKey: Buffer;

  /** How often it has signed, as the authenticator counts; 0 of those that do not count. */
  @Column('bigint')
  counter: string;

  /** How a browser reaches the authenticator: `internal`, `hybrid`, `usb` … */
  @Column('text', { array: true })
  transports: string[];

  /** Whether it is kept on several devices. */
  @Column('boolean')
  synced: boolean;

  /** What the person calls it. */
  @Column('text')
  name: string;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'last_used_at', nullable: true })
  lastUsedAt: Date | null;
}
