import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A workspace may demand `If-Match` of every change of its items. */
export class RequiredIfMatch1764500000000 implements MigrationInterface {
  readonly name = 'RequiredIfMatch1764500000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE workspaces ADD COLUMN require_if_match boolean NOT NULL DEFAULT false`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE workspaces DROP COLUMN require_if_match`);
  }
}
