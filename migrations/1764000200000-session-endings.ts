import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What makes an end final: proofs are numbered, and a session outlives its account as the mark of its end. */
export class SessionEndings1764000200000 implements MigrationInterface {
  readonly name = 'SessionEndings1764000200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE users ADD COLUMN credentials_version integer NOT NULL DEFAULT 1`);
    await runner.query(`
      ALTER TABLE sessions
        ALTER COLUMN user_id DROP NOT NULL,
        DROP CONSTRAINT sessions_user_id_fkey,
        ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DELETE FROM sessions WHERE user_id IS NULL`);
    await runner.query(`
      ALTER TABLE sessions
        ALTER COLUMN user_id SET NOT NULL,
        DROP CONSTRAINT sessions_user_id_fkey,
        ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE`);
    await runner.query(`ALTER TABLE users DROP COLUMN credentials_version`);
  }
}
