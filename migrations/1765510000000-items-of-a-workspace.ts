import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Has PostgreSQL expect some 500 items of a workspace, however they are shared out. Its own count, of a sample, knows only the
 * workspaces that have the most: where one has nearly all, it takes every workspace for one of those, and lists a
 * small one by reading everybody's items.
 */
export class ItemsOfAWorkspace1765510000000 implements MigrationInterface {
  readonly name = 'ItemsOfAWorkspace1765510000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE items ALTER COLUMN workspace_id SET (n_distinct = -0.002)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE items ALTER COLUMN workspace_id RESET (n_distinct)`);
  }
}
