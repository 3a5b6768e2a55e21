import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The index by holder says that there is one, which every leased row fulfils. Only a statement that asks for an agent's
 * leases says so, too, and is given it: what is about one lease is not led to read it whole (decision 0031).
 */
export class HeldIndex1765450000000 implements MigrationInterface {
  readonly name = 'HeldIndex1765450000000';
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS lease_states_held_idx`);
    await runner.query(`
      CREATE INDEX CONCURRENTLY lease_states_held_idx ON lease_states (agent_id)
      WHERE state = 'leased' AND agent_id IS NOT NULL`);
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS lease_states_agent_id_idx`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS lease_states_agent_id_idx`);
    await runner.query(`
      CREATE INDEX CONCURRENTLY lease_states_agent_id_idx ON lease_states (agent_id) WHERE state = 'leased'`);
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS lease_states_held_idx`);
  }
}
