import { Entity, PrimaryColumn } from 'typeorm';

/** An item that is gone for good, and whose older versions are still to be removed. */
@Entity('purged_items')
export class PurgedItem {
  @PrimaryColumn('uuid', { name: 'workspace_id', primaryKeyConstraintName: 'purged_items_pkey' })
  workspaceId: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'purged_items_pkey' })
  id: string;
}
