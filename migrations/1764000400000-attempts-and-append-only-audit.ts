import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Failed proofs of a password are counted where all instances see them; the audit trail is append-only. */
export class AttemptsAndAppendOnlyAudit1764000400000 implements MigrationInterface {
  readonly name = 'AttemptsAndAppendOnlyAudit1764000400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE password_attempts (
        key bytea CONSTRAINT password_attempts_pkey PRIMARY KEY,
        kind text NOT NULL CONSTRAINT password_attempts_kind_check CHECK (kind IN ('pair', 'account', 'address')),
        failures double precision NOT NULL,
        last_at timestamptz NOT NULL,
        blocked_until timestamptz,
        signed_in_at timestamptz
      )`);
    await runner.query(`CREATE INDEX password_attempts_last_at_idx ON password_attempts (last_at)`);
    await runner.query(`
      CREATE FUNCTION refuse_change_of_audit_entries() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION 'audit_entries is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
      END $$`);
    await runner.query(`
      CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
      FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_entries()`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TRIGGER audit_entries_append_only ON audit_entries`);
    await runner.query(`DROP FUNCTION refuse_change_of_audit_entries()`);
    await runner.query(`DROP TABLE password_attempts`);
  }
}
