import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * The counter of one workspace's event log. Never deleted: a `seq` is given out once. The row is the hottest
 * of the database, so the table is created with room for in-page updates (fillfactor 20).
 */
@Entity('streams')
export class Stream {
  /** The workspace's id. */
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'streams_pkey' })
  id: string;

  /** The `seq` of the newest event; 0 before the first. */
  @Column('bigint', { default: 0 })
  head: string;

  /** The `seq` of the newest event that took a right from somebody; 0 before the first. */
  @Column('bigint', { name: 'access_seq', default: 0 })
  accessSeq: string;

  /** The lowest `seq` that is kept; one more than `head` if none is. */
  @Column('bigint', { name: 'min_seq', default: 1 })
  minSeq: string;

  /** When the workspace was deleted: nothing is appended any more. */
  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt: Date | null;
}
