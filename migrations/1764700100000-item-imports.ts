import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Imports of items: what was uploaded, until it is read, and which lines were refused. */
export class ItemImports1764700100000 implements MigrationInterface {
  readonly name = 'ItemImports1764700100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE item_imports (
        id uuid CONSTRAINT item_imports_pkey PRIMARY KEY,
        workspace_id uuid NOT NULL
          CONSTRAINT item_imports_workspace_id_fkey REFERENCES workspaces (id) ON DELETE CASCADE,
        format text NOT NULL,
        dry_run boolean NOT NULL,
        state text NOT NULL DEFAULT 'uploading',
        failure text,
        received_bytes bigint NOT NULL DEFAULT 0,
        read_bytes bigint NOT NULL DEFAULT 0,
        read_lines integer NOT NULL DEFAULT 0,
        columns jsonb,
        processed integer NOT NULL DEFAULT 0,
        created integer NOT NULL DEFAULT 0,
        refused integer NOT NULL DEFAULT 0,
        version integer NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        created_by uuid NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(),
        told_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz,
        CONSTRAINT item_imports_format_check CHECK (format IN ('ndjson', 'csv')),
        CONSTRAINT item_imports_state_check CHECK
          (state IN ('uploading', 'queued', 'running', 'done', 'failed', 'cancelled'))
      )`);
    await runner.query(`CREATE INDEX item_imports_workspace_id_idx ON item_imports (workspace_id)`);
    await runner.query(`
      CREATE INDEX item_imports_created_by_idx ON item_imports (created_by) WHERE finished_at IS NULL`);
    await runner.query(`CREATE INDEX item_imports_updated_at_idx ON item_imports (updated_at)`);
    await runner.query(`
      CREATE TABLE item_import_chunks (
        import_id uuid NOT NULL
          CONSTRAINT item_import_chunks_import_id_fkey REFERENCES item_imports (id) ON DELETE CASCADE,
        start bigint NOT NULL,
        bytes bytea NOT NULL,
        CONSTRAINT item_import_chunks_pkey PRIMARY KEY (import_id, start)
      )`);
    await runner.query(`
      CREATE TABLE item_import_refusals (
        import_id uuid NOT NULL
          CONSTRAINT item_import_refusals_import_id_fkey REFERENCES item_imports (id) ON DELETE CASCADE,
        line integer NOT NULL,
        errors jsonb NOT NULL,
        CONSTRAINT item_import_refusals_pkey PRIMARY KEY (import_id, line)
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE item_import_refusals`);
    await runner.query(`DROP TABLE item_import_chunks`);
    await runner.query(`DROP TABLE item_imports`);
  }
}
