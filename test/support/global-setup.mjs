import { fork } from 'node:child_process';
import { join } from 'node:path';
import { compileSources, warmCodeCache } from './native/compile.mjs';
import { codeCache, compiledPath, root } from './native/paths.mjs';

/**
 * Compiles what a worker loads natively, and brings up the run's PostgreSQL in a process of its own, which outlives
 * this one for just as long as it takes to clean up, however this one ends.
 */
export default async function globalSetup() {
  await compileSources();
  const server = fork(compiledPath(join(root, 'test/support/database-server.ts')), {
    cwd: root,
    execArgv: ['--no-warnings'],
    // Ctrl-C is for the tests; the database goes after them, when the channel closes.
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  globalThis.atriumTestServer = server;
  const started = new Promise((resolve, reject) => {
    server.once('message', resolve);
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`The test database did not start (exit code ${code})`)));
  });
  const [{ url, template, prefix, folder }] = await Promise.all([started, warmCodeCache()]);
  process.env.NODE_COMPILE_CACHE = codeCache;
  // All that the tests and their processes leave in it goes with the run, also if it is killed.
  process.env.TMPDIR = folder;
  process.env.ATRIUM_TEST_SERVER = JSON.stringify({ url, template, prefix });
}
