import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The audit trail may be removed from its old end (decision 0043): by a transaction that says how many days it keeps, and
 * only what is older than that. Less than 90 days are never kept, whatever it says. All else is refused as before.
 */
export class AuditRetention1765460000000 implements MigrationInterface {
  readonly name = 'AuditRetention1765460000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE OR REPLACE FUNCTION refuse_change_of_audit_entries() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF TG_OP = 'DELETE' AND current_setting('atrium.audit_retention_days', true) ~ '^[1-9][0-9]{1,4}$' THEN
          RETURN NULL;
        END IF;
        RAISE EXCEPTION 'audit_entries is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
      END $$`);
    await runner.query(`
      CREATE FUNCTION refuse_removal_of_young_audit_entries() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE
        days integer := greatest(90, current_setting('atrium.audit_retention_days')::integer);
      BEGIN
        IF OLD.created_at < now() - days * interval '1 day' THEN RETURN OLD; END IF;
        RAISE EXCEPTION 'audit_entries is append-only: an entry of the last % days is kept', days
          USING ERRCODE = 'insufficient_privilege';
      END $$`);
    await runner.query(`
      CREATE TRIGGER audit_entries_keep_young BEFORE DELETE ON audit_entries
      FOR EACH ROW EXECUTE FUNCTION refuse_removal_of_young_audit_entries()`);
  }

  async down(runner: QueryRunner): Promise<void> {
    // First, lest there is a moment without either.
    await runner.query(`
      CREATE OR REPLACE FUNCTION refuse_change_of_audit_entries() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION 'audit_entries is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
      END $$`);
    await runner.query(`DROP TRIGGER audit_entries_keep_young ON audit_entries`);
    await runner.query(`DROP FUNCTION refuse_removal_of_young_audit_entries()`);
  }
}
