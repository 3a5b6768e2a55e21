import type { MigrationInterface, QueryRunner } from 'typeorm';

const TYPES = `('item.created', 'item.updated', 'item.deleted', 'item.restored')`;

/** The history of items past the retention of events. */
export class ItemVersions1764800100000 implements MigrationInterface {
  readonly name = 'ItemVersions1764800100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE item_versions (
        workspace_id uuid NOT NULL,
        item_id uuid NOT NULL,
        version integer NOT NULL,
        seq bigint NOT NULL,
        type text NOT NULL,
        principal_id uuid NOT NULL,
        "time" timestamptz NOT NULL,
        data jsonb NOT NULL,
        CONSTRAINT item_versions_pkey PRIMARY KEY (workspace_id, item_id, version)
      )`);
    await runner.query(`
      CREATE TABLE purged_items (
        workspace_id uuid NOT NULL,
        id uuid NOT NULL,
        CONSTRAINT purged_items_pkey PRIMARY KEY (workspace_id, id)
      )`);
    // The versions of an item rise with the numbers of its events, so halving finds one of them. Each step is one look
    // into the index on (subject, seq), whatever a plan that knows no values would rather do.
    await runner.query(`
      CREATE FUNCTION item_event_seq(room text, target integer, newest bigint) RETURNS bigint
      LANGUAGE plpgsql STABLE
      SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off
      AS $$
      DECLARE
        low bigint := 1;
        high bigint := newest;
        middle bigint;
        found_seq bigint;
        found_version integer;
      BEGIN
        WHILE low <= high LOOP
          middle := (low + high) / 2;
          SELECT e.seq, (e.data->>'version')::integer INTO found_seq, found_version FROM events e
            WHERE e.subject = room AND e.seq >= middle AND e.seq <= high AND e.type IN ${TYPES}
            ORDER BY e.seq LIMIT 1;
          IF found_version = target THEN
            RETURN found_seq;
          ELSIF found_version < target THEN
            low := found_seq + 1;
          ELSE
            high := middle - 1;
          END IF;
        END LOOP;
        RETURN NULL;
      END $$`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION item_event_seq(text, integer, bigint)`);
    await runner.query(`DROP TABLE purged_items`);
    await runner.query(`DROP TABLE item_versions`);
  }
}
