import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Agents that are there by their sockets, and leases that are handed to sockets. */
export class AgentSockets1765200000000 implements MigrationInterface {
  readonly name = 'AgentSockets1765200000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE agent_presences ADD connected uuid[] NOT NULL DEFAULT '{}'`);
    await runner.query(`ALTER TABLE lease_states ADD delivered boolean NOT NULL DEFAULT true`);
    // Every instance looks by itself now, more often than a schedule can.
    await runner.query(`DELETE FROM jobs.schedule WHERE name = 'agents.lost'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE lease_states DROP COLUMN delivered`);
    await runner.query(`ALTER TABLE agent_presences DROP COLUMN connected`);
  }
}
