import type { MigrationInterface, QueryRunner } from 'typeorm';

/** By when they end at the latest, sessions are found that ended long ago, to be removed. No use of a session changes it. */
export class EndedSessionsIndex1765470000000 implements MigrationInterface {
  readonly name = 'EndedSessionsIndex1765470000000';
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS sessions_expires_at_idx`);
    await runner.query(`CREATE INDEX CONCURRENTLY sessions_expires_at_idx ON sessions (expires_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS sessions_expires_at_idx`);
  }
}
