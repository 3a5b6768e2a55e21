import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { compiledPath, root } from '../support/native/paths.mjs';

/** What is logged with a terminal as standard output, as the terminal shows it. */
async function shown(environment: string): Promise<string> {
  const logs = JSON.stringify(compiledPath(join(root, 'src/observability/logging/logs.ts')));
  const program = `const { Logs } = await import(${logs});
    const logs = new Logs({ environment: ${JSON.stringify(environment)}, logLevels: { default: 'log', modules: {} } });
    logs.warn('One line\\nand \\u001b[31mno other', 'Tides');
    logs.frequent('log', 'Request', { status: 200 }, 'GET /v1/items');
    await logs.end();`;
  const command = [process.execPath, '--no-warnings', '--input-type=module', '-e', program];
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  const { stdout } = await promisify(execFile)('script', ['-qec', quoted, '/dev/null'], { cwd: root });
  return stdout.replaceAll('\r', '');
}

describe('The log of a terminal', () => {
  it('is for people in development', async () => {
    const text = await shown('development');
    expect(text).toContain('\u001b['); // coloured
    const lines = stripVTControlCharacters(text).trim().split('\n');
    expect(lines[0]).toMatch(/^\[.+\] WARN.*: Tides: One line.*no other$/);
    expect(lines[1]).toMatch(/^\[.+\] INFO.*: Request: GET \/v1\/items$/);
    expect(text).not.toContain('\u001b[31mno other');
  });

  it('is JSON in production, there too', async () => {
    const lines = (await shown('production')).trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { module: string }).module)).toEqual([
      'Tides',
      'Request',
    ]);
  });
});
