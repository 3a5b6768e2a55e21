import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Accounts, sessions, workspaces, items and the event stream. */
export class Backbone1763827200000 implements MigrationInterface {
  readonly name = 'Backbone1763827200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE users (
        id uuid CONSTRAINT users_pkey PRIMARY KEY,
        email text NOT NULL CONSTRAINT users_email_key UNIQUE,
        name text,
        password_hash text NOT NULL,
        version integer NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query(`
      CREATE TABLE sessions (
        id uuid CONSTRAINT sessions_pkey PRIMARY KEY,
        user_id uuid NOT NULL CONSTRAINT sessions_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
        seed bytea NOT NULL,
        generation integer NOT NULL DEFAULT 1,
        rotations timestamptz[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz,
        revoked_reason text,
        user_agent text
      )`);
    await runner.query(`CREATE INDEX sessions_user_id_idx ON sessions (user_id)`);
    await runner.query(
      `CREATE INDEX sessions_revoked_at_idx ON sessions (revoked_at) WHERE revoked_at IS NOT NULL`,
    );
    await runner.query(`
      CREATE TABLE workspaces (
        id uuid CONSTRAINT workspaces_pkey PRIMARY KEY,
        name text NOT NULL,
        personal_user_id uuid
          CONSTRAINT workspaces_personal_user_id_key UNIQUE
          CONSTRAINT workspaces_personal_user_id_fkey REFERENCES users (id),
        version integer NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query(`
      CREATE TABLE memberships (
        workspace_id uuid NOT NULL
          CONSTRAINT memberships_workspace_id_fkey REFERENCES workspaces (id) ON DELETE CASCADE,
        principal_id uuid NOT NULL,
        role text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT memberships_pkey PRIMARY KEY (workspace_id, principal_id),
        CONSTRAINT memberships_role_check CHECK (role IN ('owner', 'admin', 'member', 'viewer'))
      )`);
    await runner.query(`CREATE INDEX memberships_principal_id_idx ON memberships (principal_id)`);
    await runner.query(`
      CREATE TABLE streams (
        id uuid CONSTRAINT streams_pkey PRIMARY KEY,
        head bigint NOT NULL DEFAULT 0
      ) WITH (fillfactor = 20)`);
    await runner.query(`
      CREATE TABLE events (
        stream_id uuid NOT NULL,
        seq bigint NOT NULL,
        id uuid NOT NULL,
        type text NOT NULL,
        subject text NOT NULL,
        principal_id uuid NOT NULL,
        "time" timestamptz NOT NULL DEFAULT now(),
        data jsonb NOT NULL,
        CONSTRAINT events_pkey PRIMARY KEY (stream_id, seq)
      )`);
    await runner.query(`
      CREATE TABLE stream_history (
        "only" boolean CONSTRAINT stream_history_pkey PRIMARY KEY DEFAULT true,
        nonce uuid NOT NULL DEFAULT gen_random_uuid(),
        CONSTRAINT stream_history_only_check CHECK ("only")
      )`);
    await runner.query(`INSERT INTO stream_history DEFAULT VALUES`);
    await runner.query(`CREATE INDEX events_subject_seq_idx ON events (subject, seq)`);
    await runner.query(`
      CREATE TABLE items (
        id uuid CONSTRAINT items_pkey PRIMARY KEY,
        workspace_id uuid NOT NULL
          CONSTRAINT items_workspace_id_fkey REFERENCES workspaces (id) ON DELETE CASCADE,
        type text NOT NULL,
        title text NOT NULL,
        data jsonb NOT NULL,
        version integer NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        created_by uuid NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(),
        updated_by uuid NOT NULL
      ) WITH (fillfactor = 85)`);
    await runner.query(`CREATE INDEX items_workspace_id_id_idx ON items (workspace_id, id)`);
    // RFC 7396. A flat patch without nulls, the usual one, is a plain concatenation.
    await runner.query(`
      CREATE FUNCTION jsonb_merge_patch(target jsonb, patch jsonb) RETURNS jsonb
      LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
      DECLARE
        entry record;
        merged jsonb := CASE WHEN jsonb_typeof(target) = 'object' THEN target ELSE '{}' END;
      BEGIN
        IF jsonb_typeof(patch) <> 'object' THEN
          RETURN patch;
        END IF;
        IF NOT patch @? '$.* ? (@ == null || @.type() == "object")' THEN
          RETURN merged || patch;
        END IF;
        FOR entry IN SELECT key, value FROM jsonb_each(patch) LOOP
          IF jsonb_typeof(entry.value) = 'null' THEN
            merged := merged - entry.key;
          ELSE
            merged := merged || jsonb_build_object(
              entry.key, jsonb_merge_patch(COALESCE(merged -> entry.key, 'null'), entry.value));
          END IF;
        END LOOP;
        RETURN merged;
      END $$`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION jsonb_merge_patch(jsonb, jsonb)`);
    for (const table of [
      'items',
      'events',
      'stream_history',
      'streams',
      'memberships',
      'workspaces',
      'sessions',
      'users',
    ])
      await runner.query(`DROP TABLE ${table}`);
  }
}
