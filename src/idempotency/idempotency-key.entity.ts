import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A request that a principal sent under an `Idempotency-Key`, with its answer once there is one. */
@Entity('idempotency_keys')
@Check('idempotency_keys_state_check', "state IN ('running', 'answered', 'unknown')")
@Index('idempotency_keys_expires_at_idx', ['expiresAt'])
export class IdempotencyKey {
  @PrimaryColumn('uuid', { name: 'principal_id', primaryKeyConstraintName: 'idempotency_keys_pkey' })
  principalId: string;

  /** SHA-256 of the key. */
  @PrimaryColumn('bytea', { name: 'key_hash', primaryKeyConstraintName: 'idempotency_keys_pkey' })
  keyHash: Buffer;

  /** Of the request, keyed by the key itself, so that nobody can guess a body from it. */
  @Column('bytea')
  fingerprint: Buffer;

  /** Who settles it: a claim that another has replaced settles nothing. */
  @Column('uuid')
  claim: string;

  @Column('text', { default: 'running' })
  state: 'running' | 'answered' | 'unknown';

  @Column('integer', { nullable: true })
  status: number | null;

  @Column('jsonb', { nullable: true })
  headers: Record<string, string> | null;

  /** As it was sent. */
  @Column('text', { nullable: true })
  body: string | null;

  @Column('timestamptz', { name: 'claimed_at', default: () => 'now()' })
  claimedAt: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;
}
