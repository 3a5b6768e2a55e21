import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A machine that waits for a person to approve its code (RFC 8628). */
@Entity('device_authorizations')
@Check('device_authorizations_status_check', "status IN ('pending', 'approved', 'denied', 'used')")
@Index('device_authorizations_device_code_hash_key', ['deviceCodeHash'], { unique: true })
@Index('device_authorizations_user_code_key', ['userCode'], { unique: true })
@Index('device_authorizations_expires_at_idx', ['expiresAt'])
export class DeviceAuthorization {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'device_authorizations_pkey' })
  id: string;

  /** SHA-256 of what the machine polls with. */
  @Column('bytea', { name: 'device_code_hash' })
  deviceCodeHash: Buffer;

  /** What the person types, without its dash. */
  @Column('text', { name: 'user_code' })
  userCode: string;

  @Column('text', { default: 'pending' })
  status: 'pending' | 'approved' | 'denied' | 'used';

  /** What the machine says of itself, for the person to judge. */
  @Column('text')
  name: string;

  @Column('text')
  kind: string;

  @Column('text', { array: true })
  scopes: string[];

  /** From which IP address it asked. */
  @Column('text')
  address: string;

  /** How long it must wait between two polls; longer each time that it does not. */
  @Column('integer', { name: 'interval_seconds' })
  intervalSeconds: number;

  @Column('timestamptz', { name: 'polled_at', nullable: true })
  polledAt: Date | null;

  /** What it is given once approved. */
  @Column('uuid', { name: 'credential_id', nullable: true })
  credentialId: string | null;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;
}
