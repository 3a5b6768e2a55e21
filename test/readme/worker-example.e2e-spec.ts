import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';

const root = resolve(import.meta.dirname, '../..');
const ADDRESS = 'localhost:3000';

describe('The worker of examples/worker, tried as its README says', () => {
  let app: TestApp;
  let folder: string;
  beforeAll(async () => {
    app = await startAtrium();
    folder = await mkdtemp(join(tmpdir(), 'atrium-example-'));
    try {
      execFileSync('curl', ['--version']);
    } catch {
      await writeFile(join(folder, 'curl'), `#!/bin/sh\nexec node '${root}/test/readme/curl.mjs' "$@"\n`);
      await chmod(join(folder, 'curl'), 0o755);
    }
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await app.stop();
  });

  it('does what was to be done, shows it, and ends when it is told to', async () => {
    const readme = await readFile(join(root, 'examples/worker/README.md'), 'utf8');
    const [prepare, start, look] = [...readme.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, code = '']) =>
      code.replaceAll(ADDRESS, new URL(app.url).host),
    );
    // Whoever types it types on when the worker has done its work.
    const [list = ''] = look.split('\n');
    const patience = `until [ "$(${list} | grep -o '"letters"' | wc -l)" -eq 3 ]; do sleep 0.1; done`;
    const quiet = start.replace('run.ts &', 'run.ts > "$LOG" 2>&1 &');
    expect(quiet).not.toBe(start);
    const script = [prepare, quiet, patience, look, 'wait $!'].join('\n');
    const path = [folder, dirname(process.execPath), process.env.PATH].join(delimiter);
    const env = { PATH: path, HOME: folder, LOG: join(folder, 'worker.log') };
    const { stdout } = await promisify(execFile)('sh', ['-u', '-c', script], {
      cwd: root,
      env,
      timeout: 90_000,
    });
    const said = await readFile(env.LOG, 'utf8');
    expect(said.match(/counting \w+/g)?.toSorted()).toEqual(
      ['eleven', 'one', 'three'].map((word) => `counting ${word}`),
    );
    const counted = await app.sql<{ title: string; data: unknown; state: string }>(
      `SELECT i.title, i.data, l.state FROM items i JOIN lease_states l ON l.item_id = i.id ORDER BY i.title`,
    );
    expect(counted).toEqual([
      { title: 'eleven', data: { letters: 6 }, state: 'done' },
      { title: 'one', data: { letters: 3 }, state: 'done' },
      { title: 'three', data: { letters: 5 }, state: 'done' },
    ]);
    expect(stdout).toContain('"letters"');
  });

  it('says what is wrong when the server does not know it', async () => {
    const env = { ...process.env, ATRIUM: app.url, CLIENT_ID: 'nobody', CLIENT_SECRET: 'nothing' };
    const child = spawn(process.execPath, [join(root, 'examples/worker/run.ts')], { env });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const [code] = (await once(child, 'close')) as [number];
    expect([code, said]).toEqual([1, expect.stringContaining('invalid_client')]);
  });
});
