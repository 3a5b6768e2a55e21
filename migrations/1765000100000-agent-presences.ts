import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which agents are there, as their heartbeats say. */
export class AgentPresences1765000100000 implements MigrationInterface {
  readonly name = 'AgentPresences1765000100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE agent_presences (
        agent_id uuid CONSTRAINT agent_presences_pkey PRIMARY KEY
          CONSTRAINT agent_presences_agent_id_fkey REFERENCES agents (id) ON DELETE CASCADE,
        workspace_id uuid NOT NULL,
        state text NOT NULL DEFAULT 'online',
        due_at timestamptz NOT NULL,
        CONSTRAINT agent_presences_state_check CHECK (state IN ('online', 'offline', 'lost'))
      )`);
    await runner.query(
      `CREATE INDEX agent_presences_due_at_idx ON agent_presences (due_at) WHERE state = 'online'`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE agent_presences`);
  }
}
