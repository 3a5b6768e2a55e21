import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Column,
  DataSource,
  Entity,
  type MigrationInterface,
  PrimaryColumn,
  type QueryRunner,
} from 'typeorm';
import { migrations } from '../../migrations/index.js';
import { dataSourceOptions } from '../../src/database/data-source.js';
import { entities } from '../../src/database/entities.js';
import { listMigrations, nameWords, writeMigration } from '../../src/database/migration-files.js';
import { MigrationStatus } from '../../src/database/migration-status.js';
import {
  currentMigration,
  migrate,
  migrationHistory,
  pendingMigrations,
  revert,
} from '../../src/database/migrator.js';
import { schemaDrift } from '../../src/database/schema-drift.js';
import { createTestDatabase, type TestDatabase, testServerUrl } from '../support/database.js';
import { catalogue } from '../support/database-catalogue.js';
import { ask } from '../support/database-embedded.js';

const root = resolve(import.meta.dirname, '../..');
const LIMITS = { poolSize: 2, statementTimeoutMs: 10_000 };

describe('migrations', () => {
  let database: TestDatabase;
  const open: DataSource[] = [];

  beforeEach(async () => {
    database = await createTestDatabase({ empty: true });
  });

  afterEach(async () => {
    for (const dataSource of open.splice(0)) await dataSource.destroy();
    await database.drop();
  });

  async function connect(list: (new () => MigrationInterface)[] = migrations): Promise<DataSource> {
    const options = { ...dataSourceOptions({ ...LIMITS, url: database.url }), migrations: list };
    const dataSource = await new DataSource(options).initialize();
    open.push(dataSource);
    return dataSource;
  }

  it('are applied once when several processes start at the same moment on an empty database', async () => {
    const starts = await Promise.all([connect(), connect(), connect()]);
    const applied = await Promise.all(starts.map((dataSource) => migrate(dataSource)));
    expect(applied.filter((names) => names.length > 0)).toHaveLength(1);
    expect(applied.flat()).toHaveLength(migrations.length);
    const [row] = await ask<{ count: string }>(database.url, 'SELECT count(*) FROM migrations');
    expect(row?.count).toBe(String(migrations.length));
  });

  it('that build an index concurrently are not held up for ever by a process that waits its turn', async () => {
    class Concurrent1000000000000 implements MigrationInterface {
      readonly name = 'Concurrent1000000000000';
      readonly transaction = false;
      async up(runner: QueryRunner): Promise<void> {
        await runner.query('CREATE TABLE things (id int)');
        await runner.query('CREATE INDEX CONCURRENTLY things_idx ON things (id)');
      }
      async down(runner: QueryRunner): Promise<void> {
        await runner.query('DROP TABLE things');
      }
    }
    const starts = await Promise.all([
      connect([Concurrent1000000000000]),
      connect([Concurrent1000000000000]),
    ]);
    const applied = await Promise.all(starts.map((dataSource) => migrate(dataSource)));
    expect(applied.flat()).toEqual(['Concurrent1000000000000']);
  });

  it('go up, down and up again, each down restoring the schema that was before', async () => {
    const schemas = [await catalogue(database.url)];
    for (let count = 1; count <= migrations.length; count++) {
      await migrate(await connect(migrations.slice(0, count)));
      schemas.push(await catalogue(database.url));
    }
    const dataSource = await connect();
    for (let count = migrations.length; count > 0; count--) {
      expect(await catalogue(database.url)).toEqual(schemas[count]);
      await revert(dataSource);
      expect(await catalogue(database.url)).toEqual(schemas[count - 1]);
    }
    expect(await revert(dataSource)).toBeUndefined();
    await migrate(dataSource);
    expect(await catalogue(database.url)).toEqual(schemas.at(-1));
  });

  it('leave the ones before it applied when one fails, and nothing of itself', async () => {
    class Broken9999999999999 implements MigrationInterface {
      readonly name = 'Broken9999999999999';
      async up(runner: QueryRunner): Promise<void> {
        await runner.query('CREATE TABLE half (id int)');
        await runner.query('SELECT 1 / 0');
      }
      async down(): Promise<void> {
        // Never applied.
      }
    }
    const dataSource = await connect([...migrations, Broken9999999999999]);
    await expect(migrate(dataSource)).rejects.toThrow('division by zero');
    expect(await pendingMigrations(dataSource)).toEqual(['Broken9999999999999']);
    expect((await catalogue(database.url)).filter((line) => line.includes('half'))).toEqual([]);
    // The lock is free again.
    expect(await migrate(await connect())).toEqual([]);
  });

  it('are listed with the time of their application, then those pending, then those of a newer build', async () => {
    const started = Date.now() - 1_000;
    const dataSource = await connect();
    expect(await currentMigration(dataSource)).toBeUndefined();
    expect(await pendingMigrations(dataSource)).toHaveLength(migrations.length);

    await migrate(dataSource);
    const history = await migrationHistory(dataSource);
    expect(history).toHaveLength(migrations.length);
    for (const { appliedAt, known } of history) {
      expect(known).toBe(true);
      expect(appliedAt!.getTime()).toBeGreaterThan(started);
    }
    expect(await currentMigration(dataSource)).toEqual(history.at(-1));
    const older = await migrationHistory(await connect([]));
    expect(older.map(({ known }) => known)).toEqual(migrations.map(() => false));
  });

  it('are reported as applied to a readiness probe, and not before', async () => {
    const dataSource = await connect();
    const before = new MigrationStatus(dataSource);
    expect(await before.applied()).toBe(migrations.length === 0);
    await migrate(dataSource);
    expect(await new MigrationStatus(dataSource).applied()).toBe(true);
  });

  it('are all in the index of their folder, oldest first', async () => {
    const files = await listMigrations(join(root, 'migrations'));
    expect(migrations.map(({ name }) => name)).toEqual(files.map(({ className }) => className));
  });
});

describe('the comparison of entities and migrations', () => {
  @Entity('drifted')
  class Drifted {
    @PrimaryColumn('uuid', { primaryKeyConstraintName: 'drifted_pkey' })
    id: string;

    @Column('text', { default: '`${1}\\' })
    note: string;
  }

  const settings = () => ({ ...LIMITS, url: testServerUrl() });

  it('finds nothing as long as they agree, and leaves no database behind', async () => {
    expect((await schemaDrift(settings())).up.map(({ query }) => query)).toEqual([]);
    expect(
      await ask(testServerUrl(), `SELECT datname FROM pg_database WHERE datname LIKE 'atrium\\_scratch%'`),
    ).toEqual([]);
  });

  it('finds an entity that no migration knows, and writes the migration that it lacks', async () => {
    const drift = await schemaDrift(settings(), { entities: [...entities, Drifted] });
    expect(drift.up.map(({ query }) => query)).toEqual([expect.stringMatching(/^CREATE TABLE "drifted"/)]);
    expect(drift.down.map(({ query }) => query)).toEqual(['DROP TABLE "drifted"']);

    const folder = await mkdtemp(join(tmpdir(), 'atrium-migrations-'));
    try {
      await copyFile(join(root, '.prettierrc'), join(folder, '.prettierrc'));
      const file = await writeMigration(folder, nameWords('addDrifted')!, 1_800_000_000_000, drift);
      expect(file).toBe(join(folder, '1800000000000-add-drifted.ts'));
      const source = await readFile(file, 'utf8');
      expect(source).toContain('export class AddDrifted1800000000000 implements MigrationInterface');
      expect(source).toContain("DEFAULT '\\`\\${1}\\\\'");
      expect(await readFile(join(folder, 'index.ts'), 'utf8')).toContain(
        "import { AddDrifted1800000000000 } from './1800000000000-add-drifted.js';",
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each([
    ['add-item-labels', ['add', 'item', 'labels']],
    ['addItemLabels', ['add', 'item', 'labels']],
    ['AddOAuthClients2', ['add', 'oauth', 'clients2']],
    ['', undefined],
    ['add_labels', undefined],
    ['../labels', undefined],
    ['add labels', undefined],
    ['2-labels', undefined],
  ])('takes %j as the words %j', (name, words) => {
    expect(nameWords(name)).toEqual(words);
  });
});
