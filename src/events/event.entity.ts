import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * One entry of a stream, the stored part of a CloudEvent. No foreign key on the stream: the `seq` comes from
 * the counter row's own update in the same statement, so the row is there by construction.
 */
@Entity('events')
@Index('events_subject_seq_idx', ['subject', 'seq'])
export class Event {
  @PrimaryColumn('uuid', { name: 'stream_id', primaryKeyConstraintName: 'events_pkey' })
  streamId: string;

  /** 1, 2, 3 … without gaps, in commit order. */
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'events_pkey' })
  seq: string;

  @Column('uuid')
  id: string;

  /** `item.updated` and the like. */
  @Column('text')
  type: string;

  /** The path of the room it belongs to, `items/{id}`. */
  @Column('text')
  subject: string;

  /** Who did it. */
  @Column('uuid', { name: 'principal_id' })
  principalId: string;

  /** By which the table is partitioned; so it is part of the key, though `seq` alone tells events apart. */
  @PrimaryColumn('timestamptz', { default: () => 'now()', primaryKeyConstraintName: 'events_pkey' })
  time: Date;

  /** The record as it was after the change. */
  @Column('jsonb')
  data: unknown;
}
