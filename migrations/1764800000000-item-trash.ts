import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Deleted items are kept for a while, apart from the others, so no read of items can come upon them. */
export class ItemTrash1764800000000 implements MigrationInterface {
  readonly name = 'ItemTrash1764800000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE trashed_items (
        id uuid NOT NULL,
        workspace_id uuid NOT NULL,
        type text COLLATE "C" NOT NULL,
        title text COLLATE "C" NOT NULL,
        data jsonb NOT NULL,
        version integer NOT NULL,
        created_at timestamptz NOT NULL,
        created_by uuid NOT NULL,
        deleted_at timestamptz NOT NULL DEFAULT now(),
        deleted_by uuid NOT NULL,
        CONSTRAINT trashed_items_pkey PRIMARY KEY (id),
        CONSTRAINT trashed_items_workspace_id_fkey FOREIGN KEY (workspace_id)
          REFERENCES workspaces (id) ON DELETE CASCADE
      )`);
    await runner.query(`
      CREATE INDEX trashed_items_workspace_id_deleted_at_id_idx ON trashed_items (workspace_id, deleted_at, id)`);
    await runner.query(`CREATE INDEX trashed_items_deleted_at_idx ON trashed_items (deleted_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE trashed_items`);
  }
}
