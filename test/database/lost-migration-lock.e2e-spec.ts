import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm';
import { migrations } from '../../migrations/index.js';
import { dataSourceOptions } from '../../src/database/data-source.js';
import { migrate, pendingMigrations } from '../../src/database/migrator.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let dataSource: DataSource;
beforeAll(async () => {
  database = await createTestDatabase();
  const settings = { url: database.url, poolSize: 2, statementTimeoutMs: 10_000 };
  const options = { ...dataSourceOptions(settings), migrations: [...migrations, ...NEXT] };
  dataSource = await new DataSource(options).initialize();
});
afterAll(async () => {
  await dataSource.destroy();
  await database.drop();
});

/** Ends the connection that holds the lock of migrations beside the one that works. */
const LOSE_LOCK = `SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
  WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database() AND l.pid <> pg_backend_pid()
    AND (l.classid::bigint << 32) + l.objid::bigint = 7201077002`;

class LosesLock9000000000005 implements MigrationInterface {
  readonly name = 'LosesLock9000000000005';
  static loses = true;
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE alone (id uuid CONSTRAINT alone_pkey PRIMARY KEY)`);
    if (LosesLock9000000000005.loses) await runner.query(LOSE_LOCK);
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE alone`);
  }
}

class LosesLockBetween9000000000006 implements MigrationInterface {
  readonly name = 'LosesLockBetween9000000000006';
  readonly transaction = false;
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(LOSE_LOCK);
  }
  down(): Promise<void> {
    return Promise.resolve();
  }
}

class Behind9000000000007 implements MigrationInterface {
  readonly name = 'Behind9000000000007';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE behind (id uuid CONSTRAINT behind_pkey PRIMARY KEY)`);
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE behind`);
  }
}

const NEXT = [LosesLock9000000000005, LosesLockBetween9000000000006, Behind9000000000007];

describe('Migrations whose lock is held by a connection beside theirs, as through a pooler', () => {
  it('end with it: nothing is committed and nothing begun once another process may be at it', async () => {
    const lost = 'The connection that held the lock of migrations broke';
    await expect(migrate(dataSource, { pooled: true })).rejects.toThrow(lost);
    expect(await pendingMigrations(dataSource)).toEqual(NEXT.map(({ name }) => name));
    LosesLock9000000000005.loses = false;
    await expect(migrate(dataSource, { pooled: true })).rejects.toThrow(lost);
    expect(await pendingMigrations(dataSource)).toEqual(['Behind9000000000007']);
    expect(await migrate(dataSource, { pooled: true })).toEqual(['Behind9000000000007']);
  });
});
