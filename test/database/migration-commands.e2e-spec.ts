import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { migrations } from '../../migrations/index.js';
import { compiledPath } from '../support/native/paths.mjs';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const root = resolve(import.meta.dirname, '../..');

describe('the migration commands', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase({ empty: true });
  });

  afterAll(() => database.drop());

  const FROM_SOURCES = ['--import', '@swc-node/register/esm-register', 'src/database/cli.ts'];
  const COMPILED = [compiledPath(join(root, 'src/database/cli.ts'))];

  /** Runs the command compiled, as in a container, or as package.json's scripts do, which takes far longer. */
  async function run(
    args: readonly string[],
    program = COMPILED,
    url = database.url,
  ): Promise<{ code: number; output: string }> {
    const child = spawn(process.execPath, ['--no-warnings', ...program, ...args], {
      cwd: root,
      env: { ...process.env, NODE_ENV: 'production', DATABASE_URL: url },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)));
    const [code] = (await once(child, 'close')) as [number];
    return { code, output };
  }

  it('apply, name, list, check and revert', async () => {
    const last = migrations.at(-1)!.name;
    const applied = migrations.map(({ name }) => `applied ${name}\n`).join('');
    expect(await run(['run'], FROM_SOURCES)).toEqual({ code: 0, output: applied });
    expect(await run(['current'])).toEqual({ code: 0, output: `${last}\n` });
    expect(await run(['check'])).toEqual({ code: 0, output: 'Entities and migrations agree.\n' });
    expect(await run(['revert'])).toEqual({ code: 0, output: `reverted ${last}\n` });
    expect(await run(['history'])).toMatchObject({
      code: 0,
      output: expect.stringMatching(`pending +${last}\n$`),
    });
  });

  it('refuse what they do not know, and say how to call them', async () => {
    const [unknown, unnamed, cautious] = await Promise.all([
      run(['bogus']),
      run(['generate', 'a/b']),
      // Nothing is reverted because an option was not known.
      run(['revert', '--dry-run']),
    ]);
    expect(unknown).toMatchObject({ code: 2, output: expect.stringContaining('Usage: npm run migration:') });
    expect(unnamed).toMatchObject({ code: 2, output: expect.stringContaining('add-item-labels') });
    expect(cautious).toMatchObject({ code: 2, output: expect.stringContaining('revert takes nothing') });
  });

  it('say in a sentence what an operator can mend', async () => {
    const [away, wrong] = await Promise.all([
      run(['run'], COMPILED, 'postgresql://a:hunter2@127.0.0.1:1/c'),
      run(['run'], COMPILED, 'mysql://a:hunter2@127.0.0.1:1/c'),
    ]);
    expect(away).toEqual({
      code: 1,
      output: 'The database cannot be reached: connect ECONNREFUSED 127.0.0.1:1\n',
    });
    expect(wrong).toMatchObject({ code: 78, output: expect.stringContaining('DATABASE_URL must look like') });
    expect(wrong.output).not.toContain('hunter2');
  });
});
