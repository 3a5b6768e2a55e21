import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How machines become agents by themselves, and which assertions of theirs were used. */
export class AgentEnrolment1764900100000 implements MigrationInterface {
  readonly name = 'AgentEnrolment1764900100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE agent_enrolment_tokens (
        id uuid CONSTRAINT agent_enrolment_tokens_pkey PRIMARY KEY,
        workspace_id uuid NOT NULL
          CONSTRAINT agent_enrolment_tokens_workspace_id_fkey REFERENCES workspaces (id) ON DELETE CASCADE,
        hash bytea NOT NULL,
        kind text NOT NULL,
        labels jsonb NOT NULL,
        scopes text[] NOT NULL,
        uses integer NOT NULL DEFAULT 0,
        max_uses integer NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        created_by uuid NOT NULL,
        expires_at timestamptz NOT NULL,
        CONSTRAINT agent_enrolment_tokens_uses_check CHECK (uses <= max_uses)
      )`);
    await runner.query(`
      CREATE INDEX agent_enrolment_tokens_workspace_id_id_idx ON agent_enrolment_tokens (workspace_id, id)`);
    await runner.query(
      `CREATE UNIQUE INDEX agent_enrolment_tokens_hash_key ON agent_enrolment_tokens (hash)`,
    );
    await runner.query(`
      CREATE TABLE device_authorizations (
        id uuid CONSTRAINT device_authorizations_pkey PRIMARY KEY,
        device_code_hash bytea NOT NULL,
        user_code text NOT NULL,
        status text NOT NULL DEFAULT 'pending',
        name text NOT NULL,
        kind text NOT NULL,
        scopes text[] NOT NULL,
        address text NOT NULL,
        interval_seconds integer NOT NULL,
        polled_at timestamptz,
        credential_id uuid,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        CONSTRAINT device_authorizations_status_check CHECK (status IN ('pending', 'approved', 'denied', 'used'))
      )`);
    await runner.query(`
      CREATE UNIQUE INDEX device_authorizations_device_code_hash_key ON device_authorizations (device_code_hash)`);
    await runner.query(
      `CREATE UNIQUE INDEX device_authorizations_user_code_key ON device_authorizations (user_code)`,
    );
    await runner.query(
      `CREATE INDEX device_authorizations_expires_at_idx ON device_authorizations (expires_at)`,
    );
    await runner.query(`
      CREATE TABLE used_assertions (
        agent_id uuid NOT NULL
          CONSTRAINT used_assertions_agent_id_fkey REFERENCES agents (id) ON DELETE CASCADE,
        jti_hash bytea NOT NULL,
        expires_at timestamptz NOT NULL,
        CONSTRAINT used_assertions_pkey PRIMARY KEY (agent_id, jti_hash)
      )`);
    await runner.query(`CREATE INDEX used_assertions_expires_at_idx ON used_assertions (expires_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE used_assertions`);
    await runner.query(`DROP TABLE device_authorizations`);
    await runner.query(`DROP TABLE agent_enrolment_tokens`);
  }
}
