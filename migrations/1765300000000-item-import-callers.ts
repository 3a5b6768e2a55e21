import type { MigrationInterface, QueryRunner } from 'typeorm';

/** By which request an import began, so that its repeat takes its place, and which types its maker may write. */
export class ItemImportCallers1765300000000 implements MigrationInterface {
  readonly name = 'ItemImportCallers1765300000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE item_imports ADD request_key bytea, ADD writable text[]`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE item_imports DROP COLUMN writable, DROP COLUMN request_key`);
  }
}
