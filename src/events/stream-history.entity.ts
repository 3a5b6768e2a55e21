import { Check, Column, Entity, Generated, PrimaryColumn } from 'typeorm';

/** The one row that tells this history of events from the same database restored from a backup. */
@Entity('stream_history')
@Check('stream_history_only_check', '"only"')
export class StreamHistory {
  @PrimaryColumn('boolean', { default: true, primaryKeyConstraintName: 'stream_history_pkey' })
  only: boolean;

  /** Changed by every restore. */
  @Column('uuid')
  @Generated('uuid')
  nonce: string;
}
