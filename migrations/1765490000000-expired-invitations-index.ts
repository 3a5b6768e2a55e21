import type { MigrationInterface, QueryRunner } from 'typeorm';

/** By when they end, invitations are found that nobody took up, to be removed. */
export class ExpiredInvitationsIndex1765490000000 implements MigrationInterface {
  readonly name = 'ExpiredInvitationsIndex1765490000000';
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS invitations_expires_at_idx`);
    await runner.query(`CREATE INDEX CONCURRENTLY invitations_expires_at_idx ON invitations (expires_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS invitations_expires_at_idx`);
  }
}
