import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whether a credential of an agent was replaced by another, which its agent is told of at once. */
export class ReplacedCredentials1765480000000 implements MigrationInterface {
  readonly name = 'ReplacedCredentials1765480000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE agent_credentials ADD replaced_at timestamptz`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE agent_credentials DROP COLUMN replaced_at`);
  }
}
