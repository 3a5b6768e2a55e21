import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A document is bounded, however many patches it grew by: 16 MiB as PostgreSQL holds it in memory. */
export class ItemSize1765100000000 implements MigrationInterface {
  readonly name = 'ItemSize1765100000000';

  async up(runner: QueryRunner): Promise<void> {
    // Checked of new versions only: what is larger already stays readable, and can shrink.
    await runner.query(`
      ALTER TABLE items ADD CONSTRAINT items_data_size_check
        CHECK (pg_column_size(data) <= 16777216) NOT VALID`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE items DROP CONSTRAINT items_data_size_check`);
  }
}
