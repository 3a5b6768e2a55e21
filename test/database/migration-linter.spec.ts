import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { QueryRunner } from 'typeorm';
import { migrations } from '../../migrations/index.js';
import { lint, type LintedMigration, type Rule } from './migration-linter.js';

/**
 * Migrations of before the first release met no installation that had to go on serving. What comes after it is held to
 * the rules.
 */
const FIRST_RELEASE = 1_765_400_000_000;

const migration = (statements: readonly string[], more: Partial<LintedMigration> = {}): LintedMigration => ({
  up: async (runner: QueryRunner) => {
    for (const statement of statements) await runner.query(statement);
  },
  down: () => Promise.resolve(),
  ...more,
});

const found = async (...args: Parameters<typeof migration>): Promise<Rule[]> =>
  (await lint(migration(...args))).map(({ rule }) => rule);

const outside = { transaction: false };

describe('The migrations', () => {
  const own = migrations.map((each): LintedMigration & { name: string } => new each());

  it('are understood, every statement of them', async () => {
    for (const each of own) await lint(each);
  });

  it('since the first release hold nobody up, or say why they may', async () => {
    const findings: object[] = [];
    for (const each of own.filter(({ name }) => Number(name.slice(-13)) >= FIRST_RELEASE))
      for (const { rule, statement } of await lint(each))
        findings.push({ migration: each.name, rule, statement });
    expect(findings).toEqual([]);
  });
});

describe('The linter', () => {
  it.each<[rule: Rule, ...statements: string[]]>([
    ['index-blocks-writes', 'CREATE INDEX i ON items (title)'],
    ['index-blocks-writes', 'CREATE UNIQUE INDEX i ON items (title)'],
    ['index-blocks-writes', 'DROP INDEX i'],
    ['index-blocks-writes', 'ALTER TABLE items ADD CONSTRAINT c UNIQUE (title)'],
    ['index-blocks-writes', 'ALTER TABLE items ADD COLUMN slug text UNIQUE'],
    ['rewrites-table', 'ALTER TABLE items ALTER COLUMN title TYPE varchar(9)'],
    ['rewrites-table', 'ALTER TABLE items ADD COLUMN token uuid DEFAULT gen_random_uuid()'],
    ['rewrites-table', 'ALTER TABLE items ADD COLUMN seen timestamptz DEFAULT pg_catalog.clock_timestamp()'],
    ['rewrites-table', 'ALTER TABLE items ADD COLUMN number bigserial'],
    ['rewrites-table', 'ALTER TABLE items ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY'],
    ['rewrites-table', 'ALTER TABLE items ADD COLUMN size int GENERATED ALWAYS AS (length(title)) STORED'],
    ['rewrites-table', 'ALTER TABLE presences SET LOGGED'],
    ['rewrites-table', 'CLUSTER items USING items_pkey'],
    ['not-null-scans', 'ALTER TABLE items ALTER COLUMN title SET NOT NULL'],
    ['not-null-scans', 'ALTER TABLE items ADD CONSTRAINT c NOT NULL title'],
    ['not-null-without-default', 'ALTER TABLE items ADD COLUMN label text NOT NULL'],
    ['constraint-scans', 'ALTER TABLE items ADD CONSTRAINT c CHECK (version > 0)'],
    ['constraint-scans', 'ALTER TABLE items ADD CONSTRAINT c FOREIGN KEY (created_by) REFERENCES users (id)'],
    ['constraint-scans', 'ALTER TABLE items ADD COLUMN owner uuid REFERENCES users (id)'],
    [
      'constraint-scans',
      `ALTER TABLE events ATTACH PARTITION old FOR VALUES FROM (MINVALUE) TO ('2026-01-01')`,
    ],
    [
      'validates-too-early',
      'ALTER TABLE items ADD CONSTRAINT c CHECK (version > 0) NOT VALID',
      'ALTER TABLE items VALIDATE CONSTRAINT c',
    ],
    ['drop-in-use', 'ALTER TABLE items DROP COLUMN title'],
    ['drop-in-use', 'DROP TABLE items'],
    ['drop-in-use', 'DROP FUNCTION item_search(uuid, text, text, jsonb)'],
    ['rename-in-use', 'ALTER TABLE items RENAME COLUMN title TO name'],
    ['rename-in-use', 'ALTER TABLE items RENAME TO things'],
    ['several-tables', 'ALTER TABLE items ADD COLUMN a int', 'ALTER TABLE events ADD COLUMN a int'],
    ['lock-table', 'LOCK TABLE items IN EXCLUSIVE MODE'],
    ['whole-table', `UPDATE items SET title = ''`],
    ['whole-table', 'DELETE FROM idempotency_keys'],
    ['whole-table', 'TRUNCATE presences'],
    ['hidden-statements', 'DO $$ BEGIN PERFORM 1; END $$'],
    ['own-transaction', 'COMMIT'],
    ['concurrent-in-transaction', 'DROP INDEX CONCURRENTLY i'],
  ])('finds %s: %s', async (rule, ...statements) => {
    expect(await found(statements)).toEqual([rule]);
  });

  it('finds an index that is built concurrently but could not be built twice', async () => {
    const build = 'CREATE INDEX CONCURRENTLY i ON items (title)';
    const drop = 'DROP INDEX CONCURRENTLY IF EXISTS i';
    expect(await found([drop, build])).toContain('concurrent-in-transaction');
    expect(await found([build], outside)).toEqual(['concurrent-not-repeatable']);
    expect(await found([drop.replace('i', 'other'), build], outside)).toEqual(['concurrent-not-repeatable']);
    // What a failed build leaves behind, exists.
    expect(await found([build.replace('i ON', 'IF NOT EXISTS i ON')], outside)).toEqual([
      'concurrent-not-repeatable',
    ]);
    expect(await found([drop, build], outside)).toEqual([]);
  });

  it('finds whatever else a migration without a transaction does: half of it may stay', async () => {
    expect(await found(['ALTER TABLE items ADD COLUMN label text'], outside)).toEqual(['no-transaction']);
  });

  it.each<[...statements: string[]]>([
    ['ALTER TABLE items ADD COLUMN label text'],
    [
      `ALTER TABLE items ADD COLUMN label text NOT NULL DEFAULT '', ADD COLUMN at timestamptz NOT NULL DEFAULT now()`,
    ],
    ['ALTER TABLE items ALTER COLUMN title DROP NOT NULL, ALTER COLUMN title SET DEFAULT 1'],
    ['ALTER TABLE items ADD CONSTRAINT c CHECK (label IS NOT NULL) NOT VALID'],
    ['ALTER TABLE items VALIDATE CONSTRAINT c', 'ALTER TABLE items ALTER COLUMN label SET NOT NULL'],
    ['ALTER TABLE items ADD CONSTRAINT c FOREIGN KEY (created_by) REFERENCES users (id) NOT VALID'],
    ['ALTER TABLE items ADD CONSTRAINT c UNIQUE USING INDEX i'],
    [
      'CREATE TABLE notes (id uuid PRIMARY KEY, title text REFERENCES users (id))',
      'CREATE INDEX n ON notes (title)',
      'ALTER TABLE notes ADD CHECK (title > 1)',
      'UPDATE notes SET title = 1',
      'DROP TABLE notes',
    ],
    [`UPDATE memberships SET role = 'agent' WHERE role = 'bot'`],
    ['CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$'],
    ['ALTER INDEX i RENAME TO j'],
  ])('lets pass: %s', async (...statements) => {
    expect(await found(statements)).toEqual([]);
  });

  it('takes a reason for an answer, for the rule that it names alone', async () => {
    const statements = ['DELETE FROM used_assertions', 'DROP TABLE used_assertions'];
    const accepts = { 'whole-table': 'it holds ten minutes' };
    expect(await found(statements, { accepts })).toEqual(['drop-in-use']);
  });

  it('refuses what PostgreSQL could not read', async () => {
    await expect(found(['ALTER TABEL items'])).rejects.toThrow('syntax error');
  });

  it('has each of its rules in docs/migrations.md', () => {
    const root = resolve(import.meta.dirname, '../..');
    const type =
      /export type Rule =([^;]+);/.exec(
        readFileSync(resolve(import.meta.dirname, 'migration-linter.ts'), 'utf8'),
      )?.[1] ?? '';
    const rules = [...type.matchAll(/'([\w-]+)'/g)].map(([, rule]) => rule);
    expect(rules.length).toBeGreaterThan(10);
    const text = readFileSync(resolve(root, 'docs/migrations.md'), 'utf8');
    expect(rules.filter((rule) => !text.includes(`\`${rule}\``))).toEqual([]);
  });
});
