import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The index by which the leases of a type are counted is for nothing else: with the predicate that the others have,
 * PostgreSQL took it, too, to find the leases of one agent, and read all that there are.
 */
export class LeasedIndex1765310000000 implements MigrationInterface {
  readonly name = 'LeasedIndex1765310000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX lease_states_leased_idx`);
    await runner.query(`
      CREATE INDEX lease_states_leased_idx ON lease_states (workspace_id, type, due_at)
      WHERE state = 'leased' AND fence IS NOT NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX lease_states_leased_idx`);
    await runner.query(`
      CREATE INDEX lease_states_leased_idx ON lease_states (workspace_id, type, due_at) WHERE state = 'leased'`);
  }
}
