import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A process that serves sockets. It is there for as long as it says so. */
@Entity('instances')
export class Instance {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'instances_pkey' })
  id: string;

  @Column('timestamptz', { name: 'seen_at', default: () => 'now()' })
  seenAt: Date;
}

/** One principal in one room, with the sockets of one instance. */
@Entity('presences')
@Check('presences_kind_check', "kind IN ('user', 'agent')")
@Index('presences_changed_at_idx', ['changedAt'])
@Index('presences_instance_id_idx', ['instanceId'])
export class Presence {
  /** `{kind}/{id}` */
  @PrimaryColumn('text', { primaryKeyConstraintName: 'presences_pkey' })
  room: string;

  @PrimaryColumn('uuid', { name: 'principal_id', primaryKeyConstraintName: 'presences_pkey' })
  principalId: string;

  @PrimaryColumn('uuid', { name: 'instance_id', primaryKeyConstraintName: 'presences_pkey' })
  instanceId: string;

  @Column('text')
  kind: 'user' | 'agent';

  /** None: it has left; kept for a while so that other instances hear of it. */
  @Column('integer')
  connections: number;

  /** What the principal says of itself, a small JSON object. */
  @Column('jsonb')
  state: object;

  /** When it said so, in milliseconds since the Unix epoch: of several instances' states the latest holds. */
  @Column('bigint', { name: 'state_at' })
  stateAt: string;

  @Column('timestamptz', { name: 'changed_at', default: () => 'now()' })
  changedAt: Date;
}
