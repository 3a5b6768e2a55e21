import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What every part of identity stands on: states of accounts and sessions, one-time tokens, the audit trail. */
export class IdentityGround1764000000000 implements MigrationInterface {
  readonly name = 'IdentityGround1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE users
        ALTER COLUMN password_hash DROP NOT NULL,
        ADD COLUMN email_verified_at timestamptz,
        ADD COLUMN disabled_at timestamptz`);
    // The defaults fill the rows that are there; new ones say it themselves.
    await runner.query(`
      ALTER TABLE sessions
        ADD COLUMN address text NOT NULL DEFAULT 'unknown',
        ADD COLUMN amr text[] NOT NULL DEFAULT '{pwd}',
        ADD COLUMN authenticated_at timestamptz NOT NULL DEFAULT now()`);
    await runner.query(`
      ALTER TABLE sessions ALTER COLUMN address DROP DEFAULT, ALTER COLUMN amr DROP DEFAULT`);
    await runner.query(`
      CREATE TABLE one_time_tokens (
        hash bytea CONSTRAINT one_time_tokens_pkey PRIMARY KEY,
        purpose text NOT NULL,
        subject uuid NOT NULL,
        data jsonb NOT NULL,
        expires_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query(
      `CREATE INDEX one_time_tokens_purpose_subject_idx ON one_time_tokens (purpose, subject)`,
    );
    await runner.query(`CREATE INDEX one_time_tokens_expires_at_idx ON one_time_tokens (expires_at)`);
    await runner.query(`
      CREATE TABLE audit_entries (
        id uuid CONSTRAINT audit_entries_pkey PRIMARY KEY,
        action text NOT NULL,
        user_id uuid,
        workspace_id uuid,
        principal_id uuid,
        address text NOT NULL,
        user_agent text,
        request_id text NOT NULL,
        detail jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query(`CREATE INDEX audit_entries_user_id_id_idx ON audit_entries (user_id, id)`);
    await runner.query(`CREATE INDEX audit_entries_workspace_id_id_idx ON audit_entries (workspace_id, id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE audit_entries`);
    await runner.query(`DROP TABLE one_time_tokens`);
    await runner.query(`
      ALTER TABLE sessions DROP COLUMN address, DROP COLUMN amr, DROP COLUMN authenticated_at`);
    // Accounts without a password did not exist before this migration; nobody can sign in by an empty hash.
    await runner.query(`UPDATE users SET password_hash = '' WHERE password_hash IS NULL`);
    await runner.query(`
      ALTER TABLE users
        ALTER COLUMN password_hash SET NOT NULL,
        DROP COLUMN email_verified_at,
        DROP COLUMN disabled_at`);
  }
}
