import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Membership has a position in the stream; members have versions; invitations. */
export class MembershipPositions1764000100000 implements MigrationInterface {
  readonly name = 'MembershipPositions1764000100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE streams
        ADD COLUMN access_seq bigint NOT NULL DEFAULT 0,
        ADD COLUMN ended_at timestamptz`);
    // Ends a statement whose snapshot is older than a change of access. 40001: it runs again, with a new one.
    await runner.query(`
      CREATE FUNCTION refuse_stale_access() RETURNS uuid LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION 'access to the stream changed meanwhile' USING ERRCODE = 'serialization_failure';
      END $$`);
    await runner.query(`
      ALTER TABLE memberships
        ADD COLUMN version integer NOT NULL DEFAULT 1,
        ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now()`);
    await runner.query(`
      CREATE TABLE invitations (
        id uuid CONSTRAINT invitations_pkey PRIMARY KEY,
        workspace_id uuid NOT NULL
          CONSTRAINT invitations_workspace_id_fkey REFERENCES workspaces (id) ON DELETE CASCADE,
        email text NOT NULL,
        role text NOT NULL,
        token_hash bytea NOT NULL CONSTRAINT invitations_token_hash_key UNIQUE,
        invited_by uuid NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        CONSTRAINT invitations_workspace_id_email_key UNIQUE (workspace_id, email),
        CONSTRAINT invitations_role_check CHECK (role IN ('owner', 'admin', 'member', 'viewer'))
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE invitations`);
    await runner.query(`ALTER TABLE memberships DROP COLUMN version, DROP COLUMN updated_at`);
    await runner.query(`DROP FUNCTION refuse_stale_access()`);
    await runner.query(`ALTER TABLE streams DROP COLUMN access_seq, DROP COLUMN ended_at`);
  }
}
