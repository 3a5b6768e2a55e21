import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * How far the work on one item is, for items of a {@link import('./lease-type.entity.js').LeaseType}: written by
 * triggers of `items`, and by leases. One row per item: it cannot be leased twice.
 */
@Entity('lease_states')
@Check('lease_states_state_check', "state IN ('ready', 'leased', 'done', 'dead')")
// In descending order of priority: made and kept by migrations.
@Index('lease_states_claim_idx', { synchronize: false })
@Index('lease_states_lease_id_key', ['leaseId'], { unique: true, where: "state = 'leased'" })
// Narrower in their words, though not in their rows, than the others: only who says so is given them (decision 0031).
@Index('lease_states_held_idx', ['agentId'], { where: "state = 'leased' AND agent_id IS NOT NULL" })
@Index('lease_states_leased_idx', ['workspaceId', 'type', 'dueAt'], {
  where: "state = 'leased' AND fence IS NOT NULL",
})
@Index('lease_states_dead_idx', ['workspaceId', 'itemId'], { where: "state = 'dead'" })
export class LeaseState {
  @PrimaryColumn('uuid', { name: 'item_id', primaryKeyConstraintName: 'lease_states_pkey' })
  itemId: string;

  @Column('uuid', { name: 'workspace_id' })
  workspaceId: string;

  @Column({ type: 'text', collation: 'C' })
  type: string;

  @Column('integer', { default: 0 })
  priority: number;

  @Column('jsonb', { default: {} })
  labels: Readonly<Record<string, unknown>>;

  @Column('text', { default: 'ready' })
  state: 'ready' | 'leased' | 'done' | 'dead';

  /** From when on it may be claimed: while it is leased, the end of the lease. */
  @Column('timestamptz', { name: 'due_at', default: () => 'now()' })
  dueAt: Date;

  /** Claims so far, but for those that were released. */
  @Column('integer', { default: 0 })
  attempts: number;

  /** The last lease and its holder. */
  @Column('uuid', { name: 'lease_id', nullable: true })
  leaseId: string | null;

  @Column('uuid', { name: 'agent_id', nullable: true })
  agentId: string | null;

  /** Whether its holder has the lease for sure: one on its way to a socket is not extended until it has arrived. */
  @Column('boolean', { default: true })
  delivered: boolean;

  /** The version of the item when it was claimed. */
  @Column('integer', { nullable: true })
  fence: number | null;

  /** Why the last attempt failed. */
  @Column('text', { nullable: true })
  reason: string | null;

  @Column('timestamptz', { name: 'changed_at', default: () => 'now()' })
  changedAt: Date;
}
