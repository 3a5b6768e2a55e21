import type { MigrationInterface, QueryRunner } from 'typeorm';

/** By when they were closed, rooms are found of which nothing is kept any more, to be removed. */
export class ClosedRoomsIndex1765500000000 implements MigrationInterface {
  readonly name = 'ClosedRoomsIndex1765500000000';
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS rooms_closed_at_idx`);
    await runner.query(
      `CREATE INDEX CONCURRENTLY rooms_closed_at_idx ON rooms (closed_at) WHERE closed_at IS NOT NULL`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS rooms_closed_at_idx`);
  }
}
