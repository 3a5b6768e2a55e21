import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who is in a room, told by each instance of its own sockets. Unlogged: what a crash of the database empties, the
 * instances write again, and presence costs no write-ahead log.
 */
export class Presence1764400000000 implements MigrationInterface {
  readonly name = 'Presence1764400000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE UNLOGGED TABLE instances (
        id uuid CONSTRAINT instances_pkey PRIMARY KEY,
        seen_at timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query(`
      CREATE UNLOGGED TABLE presences (
        instance_id uuid NOT NULL,
        room text NOT NULL,
        principal_id uuid NOT NULL,
        kind text NOT NULL CONSTRAINT presences_kind_check CHECK (kind IN ('user', 'agent')),
        connections integer NOT NULL,
        state jsonb NOT NULL,
        state_at bigint NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT presences_pkey PRIMARY KEY (room, principal_id, instance_id)
      )`);
    await runner.query(`CREATE INDEX presences_changed_at_idx ON presences (changed_at)`);
    await runner.query(`CREATE INDEX presences_instance_id_idx ON presences (instance_id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE presences`);
    await runner.query(`DROP TABLE instances`);
  }
}
