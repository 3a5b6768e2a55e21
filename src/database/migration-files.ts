import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { SchemaChange, SchemaDrift } from './schema-drift.js';

const run = promisify(execFile);

const KEBAB = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const CAMEL = /^[A-Za-z][A-Za-z0-9]*$/;
const MIGRATION_FILE = /^(\d{13})-.+(?<!\.spec)\.ts$/;

/**
 * The words of a migration's name, in lower case: `add-labels`, `addLabels` and `AddLabels` are the same.
 * `undefined` when it is not such a name.
 */
export function nameWords(name: string): string[] | undefined {
  if (KEBAB.test(name)) return name.split('-');
  if (!CAMEL.test(name)) return undefined;
  return name
    .replaceAll(/([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])/g, '$1$3-$2')
    .toLowerCase()
    .split('-');
}

/**
 * Writes `<folder>/<time>-<name>.ts`, formatted, and lists it in the folder's `index.ts`.
 * @param time ms since the Unix epoch; migrations run in its order
 * @returns the file's path
 */
export async function writeMigration(
  folder: string,
  words: readonly string[],
  time: number,
  drift: SchemaDrift,
): Promise<string> {
  const className = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('') + String(time);
  const file = join(folder, `${time}-${words.join('-')}.ts`);
  await writeFile(file, migrationSource(className, drift), { flag: 'wx' });
  const index = await writeIndex(folder);
  await format([file, index]);
  return file;
}

function migrationSource(className: string, { up, down }: SchemaDrift): string {
  return `import type { MigrationInterface, QueryRunner } from 'typeorm';

/** TODO: one line on what this changes, and why. */
export class ${className} implements MigrationInterface {
  readonly name = '${className}';

  async up(${up.length > 0 ? 'runner' : '_runner'}: QueryRunner): Promise<void> {
${up.map(statement).join('\n')}
  }

  async down(${down.length > 0 ? 'runner' : '_runner'}: QueryRunner): Promise<void> {
${down.map(statement).join('\n')}
  }
}
`;
}

function statement({ query, parameters }: SchemaChange): string {
  const text = query.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('${', '\\${');
  return `await runner.query(\`${text}\`${parameters.length > 0 ? `, ${JSON.stringify(parameters)}` : ''});`;
}

/** The migrations of a folder, oldest first: file name without `.ts`, and class. */
export async function listMigrations(folder: string): Promise<{ file: string; className: string }[]> {
  const files = (await readdir(folder)).filter((name) => MIGRATION_FILE.test(name)).toSorted();
  return Promise.all(
    files.map(async (name) => {
      const className = /export class (\w+)/.exec(await readFile(join(folder, name), 'utf8'))?.[1];
      if (className === undefined) throw new Error(`${join(folder, name)} exports no class`);
      return { file: name.slice(0, -'.ts'.length), className };
    }),
  );
}

async function writeIndex(folder: string): Promise<string> {
  const list = await listMigrations(folder);
  const index = join(folder, 'index.ts');
  await writeFile(
    index,
    [
      ...list.map(({ file, className }) => `import { ${className} } from './${file}.js';`),
      '',
      '/** Every migration, oldest first, by name: globs would load them outside of a test runner. */',
      `export const migrations = [${list.map(({ className }) => className).join(', ')}];`,
      '',
    ].join('\n'),
  );
  return index;
}

async function format(files: readonly string[]): Promise<void> {
  // By its program: a development dependency must not become an import of the product.
  const manifest = createRequire(import.meta.url).resolve('prettier/package.json');
  await run(process.execPath, [join(dirname(manifest), 'bin', 'prettier.cjs'), '--write', ...files]);
}
