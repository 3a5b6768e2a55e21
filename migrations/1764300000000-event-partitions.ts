import type { MigrationInterface, QueryRunner } from 'typeorm';

const COLUMNS = `stream_id uuid NOT NULL,
  seq bigint NOT NULL,
  id uuid NOT NULL,
  type text NOT NULL,
  subject text NOT NULL,
  principal_id uuid NOT NULL,
  "time" timestamptz NOT NULL DEFAULT now(),
  data jsonb NOT NULL`;

/** Events are kept in partitions by time, dropped whole when they are old; streams know what is still kept. */
export class EventPartitions1764300000000 implements MigrationInterface {
  readonly name = 'EventPartitions1764300000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE streams ADD COLUMN min_seq bigint NOT NULL DEFAULT 1`);
    // What is there becomes the first partition as it is: only its key is built anew.
    await runner.query(`ALTER TABLE events RENAME TO events_first`);
    await runner.query(`ALTER TABLE events_first DROP CONSTRAINT events_pkey`);
    await runner.query(`ALTER INDEX events_subject_seq_idx RENAME TO events_first_subject_seq_idx`);
    await runner.query(`
      CREATE TABLE events (${COLUMNS}, CONSTRAINT events_pkey PRIMARY KEY (stream_id, seq, "time"))
      PARTITION BY RANGE ("time")`);
    await runner.query(`CREATE INDEX events_subject_seq_idx ON events (subject, seq)`);
    await runner.query(`
      DO $$ DECLARE
        until timestamptz := (date_trunc('day', greatest(now(), (SELECT max("time") FROM events_first))
          AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC';
      BEGIN
        EXECUTE format(
          'ALTER TABLE events ATTACH PARTITION events_first FOR VALUES FROM (MINVALUE) TO (%L)', until);
      END $$`);
    await runner.query(`CREATE TABLE events_default PARTITION OF events DEFAULT`);
  }

  async down(runner: QueryRunner): Promise<void> {
    // Aside and back: only so do the new table's constraints get the names that they had.
    await runner.query(`CREATE TABLE events_aside AS TABLE events`);
    await runner.query(`DROP TABLE events`);
    await runner.query(
      `CREATE TABLE events (${COLUMNS}, CONSTRAINT events_pkey PRIMARY KEY (stream_id, seq))`,
    );
    await runner.query(`INSERT INTO events TABLE events_aside`);
    await runner.query(`CREATE INDEX events_subject_seq_idx ON events (subject, seq)`);
    await runner.query(`DROP TABLE events_aside`);
    await runner.query(`ALTER TABLE streams DROP COLUMN min_seq`);
  }
}
