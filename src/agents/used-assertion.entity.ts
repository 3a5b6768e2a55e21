import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { Agent } from './agent.entity.js';

/** An assertion by which an agent has signed in (RFC 7523), until it would have expired: it is good once. */
@Entity('used_assertions')
@Index('used_assertions_expires_at_idx', ['expiresAt'])
export class UsedAssertion {
  @ForeignKey(() => Agent, { name: 'used_assertions_agent_id_fkey', onDelete: 'CASCADE' })
  @PrimaryColumn('uuid', { name: 'agent_id', primaryKeyConstraintName: 'used_assertions_pkey' })
  agentId: string;

  /** SHA-256 of its `jti`. */
  @PrimaryColumn('bytea', { name: 'jti_hash', primaryKeyConstraintName: 'used_assertions_pkey' })
  jtiHash: Buffer;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;
}
