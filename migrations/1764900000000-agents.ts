import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Machine clients, by what they prove who they are, and the ends of what they were given. */
export class Agents1764900000000 implements MigrationInterface {
  readonly name = 'Agents1764900000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE agents (
        id uuid CONSTRAINT agents_pkey PRIMARY KEY,
        workspace_id uuid NOT NULL
          CONSTRAINT agents_workspace_id_fkey REFERENCES workspaces (id) ON DELETE CASCADE,
        name text NOT NULL,
        kind text COLLATE "C" NOT NULL,
        labels jsonb NOT NULL DEFAULT '{}',
        metadata jsonb NOT NULL DEFAULT '{}',
        capabilities text[] NOT NULL DEFAULT '{}',
        scopes text[] NOT NULL DEFAULT '{}',
        status text NOT NULL DEFAULT 'enabled',
        last_seen_at timestamptz,
        version integer NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        created_by uuid NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(),
        updated_by uuid NOT NULL,
        CONSTRAINT agents_status_check CHECK (status IN ('enabled', 'disabled'))
      )`);
    await runner.query(`CREATE INDEX agents_workspace_id_id_idx ON agents (workspace_id, id)`);
    await runner.query(`
      CREATE TABLE agent_credentials (
        id uuid CONSTRAINT agent_credentials_pkey PRIMARY KEY,
        agent_id uuid NOT NULL
          CONSTRAINT agent_credentials_agent_id_fkey REFERENCES agents (id) ON DELETE CASCADE,
        kind text NOT NULL,
        name text,
        session_id uuid NOT NULL,
        secret_hash bytea,
        public_key jsonb,
        seed bytea,
        generation integer NOT NULL DEFAULT 1,
        rotated_at timestamptz,
        scopes text[],
        created_at timestamptz NOT NULL DEFAULT now(),
        created_by uuid NOT NULL,
        expires_at timestamptz,
        last_used_at timestamptz,
        CONSTRAINT agent_credentials_kind_check CHECK (kind IN ('secret', 'key', 'device')),
        CONSTRAINT agent_credentials_proof_check CHECK (
          (kind = 'secret') = (secret_hash IS NOT NULL) AND (kind = 'key') = (public_key IS NOT NULL)
          AND (kind = 'device') = (seed IS NOT NULL))
      )`);
    await runner.query(`CREATE INDEX agent_credentials_agent_id_id_idx ON agent_credentials (agent_id, id)`);
    // An agent stands among the members, so that one join authorises people and agents alike.
    await runner.query(`
      ALTER TABLE memberships
        DROP CONSTRAINT memberships_role_check,
        ADD CONSTRAINT memberships_role_check
          CHECK (role IN ('owner', 'admin', 'member', 'viewer', 'agent', 'suspended'))`);
    await runner.query(`
      CREATE TABLE revoked_grants (
        id uuid CONSTRAINT revoked_grants_pkey PRIMARY KEY,
        revoked_at timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query(`CREATE INDEX revoked_grants_revoked_at_idx ON revoked_grants (revoked_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE revoked_grants`);
    await runner.query(`DELETE FROM memberships WHERE role IN ('agent', 'suspended')`);
    await runner.query(`
      ALTER TABLE memberships
        DROP CONSTRAINT memberships_role_check,
        ADD CONSTRAINT memberships_role_check CHECK (role IN ('owner', 'admin', 'member', 'viewer'))`);
    await runner.query(`DROP TABLE agent_credentials`);
    await runner.query(`DROP TABLE agents`);
  }
}
