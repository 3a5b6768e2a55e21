import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { User } from '../accounts/user.entity.js';

/** One login on one device: the family of its rotating refresh tokens. */
@Entity('sessions')
@Index('sessions_user_id_idx', ['userId'])
@Index('sessions_expires_at_idx', ['expiresAt'])
@Index('sessions_revoked_at_idx', ['revokedAt'], { where: 'revoked_at IS NOT NULL' })
export class Session {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'sessions_pkey' })
  id: string;

  /** Null once the account is deleted: the row stays, so that every instance learns of the session's end. */
  @ForeignKey(() => User, { name: 'sessions_user_id_fkey', onDelete: 'SET NULL' })
  @Column('uuid', { name: 'user_id', nullable: true })
  userId: string | null;

  /** 32 random bytes from which this family's refresh tokens are derived. */
  @Column('bytea')
  seed: Buffer;

  /** The number of the only refresh token that is good now; each rotation adds one. */
  @Column('integer', { default: 1 })
  generation: number;

  /** When each of the latest rotations happened, newest first; the first is the last use. */
  @Column('timestamptz', { array: true })
  rotations: Date[];

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  /** The absolute limit, whatever the use. */
  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;

  @Column('timestamptz', { name: 'revoked_at', nullable: true })
  revokedAt: Date | null;

  /** Why it was revoked: `logout`, `reuse` … */
  @Column('text', { name: 'revoked_reason', nullable: true })
  revokedReason: string | null;

  @Column('text', { name: 'user_agent', nullable: true })
  userAgent: string | null;

  /** The IP address of the latest use. */
  @Column('text')
  address: string;

  /** How the person proved who they are (RFC 8176): `pwd`, `otp`, `hwk`, `fed` … */
  @Column('text', { array: true })
  amr: string[];

  /** When they last did so; sensitive changes ask for a recent proof. */
  @Column('timestamptz', { name: 'authenticated_at', default: () => 'now()' })
  authenticatedAt: Date;
}
