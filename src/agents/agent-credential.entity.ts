import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import type { JsonObject } from '../common/json.js';
import { Agent } from './agent.entity.js';

/** A shared secret; a public key; the refresh token of a machine whose code a person approved. */
export const CREDENTIAL_KINDS = ['secret', 'key', 'device'] as const;
export type CredentialKind = (typeof CREDENTIAL_KINDS)[number];

/** By what an agent proves who it is; it may have several. */
@Entity('agent_credentials')
@Check('agent_credentials_kind_check', "kind IN ('secret', 'key', 'device')")
@Check(
  'agent_credentials_proof_check',
  "(kind = 'secret') = (secret_hash IS NOT NULL) AND (kind = 'key') = (public_key IS NOT NULL) AND (kind = 'device') = (seed IS NOT NULL)",
)
@Index('agent_credentials_agent_id_id_idx', ['agentId', 'id'])
export class AgentCredential {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'agent_credentials_pkey' })
  id: string;

  @ForeignKey(() => Agent, { name: 'agent_credentials_agent_id_fkey', onDelete: 'CASCADE' })
  @Column('uuid', { name: 'agent_id' })
  agentId: string;

  @Column('text')
  kind: CredentialKind;

  /** For people to tell several apart. */
  @Column('text', { nullable: true })
  name: string | null;

  /** What the access tokens that were given by it name as `sid`; another one once those were ended. */
  @Column('uuid', { name: 'session_id' })
  sessionId: string;

  /** SHA-256 of the secret. */
  @Column('bytea', { name: 'secret_hash', nullable: true })
  secretHash: Buffer | null;

  /** A JWK (RFC 7517). */
  @Column('jsonb', { name: 'public_key', nullable: true })
  publicKey: JsonObject | null;

  /** 32 random bytes from which the refresh tokens are derived. */
  @Column('bytea', { nullable: true })
  seed: Buffer | null;

  /** The number of the only refresh token that is good now. */
  @Column('integer', { default: 1 })
  generation: number;

  /** When that was given. */
  @Column('timestamptz', { name: 'rotated_at', nullable: true })
  rotatedAt: Date | null;

  /** What was approved, of what the agent may do; null: all of it. */
  @Column('text', { array: true, nullable: true })
  scopes: string[] | null;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('uuid', { name: 'created_by' })
  createdBy: string;

  /** Null: never. */
  @Column('timestamptz', { name: 'expires_at', nullable: true })
  expiresAt: Date | null;

  /** When another took its place, which its agent is told; null: none has. */
  @Column('timestamptz', { name: 'replaced_at', nullable: true })
  replacedAt: Date | null;

  /** Written at most once a minute. */
  @Column('timestamptz', { name: 'last_used_at', nullable: true })
  lastUsedAt: Date | null;
}
