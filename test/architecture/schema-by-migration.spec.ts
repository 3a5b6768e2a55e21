import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const root = resolve(import.meta.dirname, '../..');

/** TypeScript and JavaScript files at or under a path. */
function sourcesOf(path: string): string[] {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.[cm]?[jt]s$/.test(file))
    .map((file) => join(path, file));
}

/** Whether code (not a comment) lets TypeORM change the schema by itself: all but `synchronize: false` does. */
function synchronizes(code: string): boolean {
  const bare = code.replace(/\/\*[^]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
  return /\b(synchronize|dropSchema)\b['"`]?\]?(?!\s*:\s*false\b)/.test(bare);
}

describe('Only migrations change the schema', () => {
  it('nothing turns on synchronize or dropSchema', () => {
    const files = ['src', 'migrations', 'scripts', 'ormconfig.ts'].flatMap((path) =>
      sourcesOf(join(root, path)),
    );
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((file) => synchronizes(readFileSync(file, 'utf8')))).toEqual([]);
  });

  it.each([
    'new DataSource({ synchronize: true })',
    'new DataSource({ synchronize: !production })',
    'new DataSource({ synchronize })',
    "options['synchronize'] = true",
    'await dataSource.synchronize()',
    '{ dropSchema: true }',
  ])('the check sees %s', (code) => {
    expect(synchronizes(code)).toBe(true);
  });

  it.each([
    '{ synchronize: false }',
    '// synchronize: true',
    '/** synchronize */',
    'const synchronized = true',
  ])('the check lets %s pass', (code) => {
    expect(synchronizes(code)).toBe(false);
  });
});
