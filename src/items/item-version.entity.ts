import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * A version of an item whose event is not kept any more. No foreign keys: an item is in one of two tables; its
 * versions go with it, see `item-purge.ts`.
 */
@Entity('item_versions')
export class ItemVersion {
  @PrimaryColumn('uuid', { name: 'workspace_id', primaryKeyConstraintName: 'item_versions_pkey' })
  workspaceId: string;

  @PrimaryColumn('uuid', { name: 'item_id', primaryKeyConstraintName: 'item_versions_pkey' })
  itemId: string;

  @PrimaryColumn('integer', { primaryKeyConstraintName: 'item_versions_pkey' })
  version: number;

  /** Of the event that told of it. */
  @Column('bigint')
  seq: string;

  /** Of the event. */
  @Column('text')
  type: string;

  @Column('uuid', { name: 'principal_id' })
  principalId: string;

  @Column('timestamptz')
  time: Date;

  /** The whole representation. */
  @Column('jsonb')
  data: unknown;
}
