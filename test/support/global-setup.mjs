import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compileSources } from './native/compile.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Brings up the run's PostgreSQL in a process of its own, for two reasons: it is TypeScript, which Jest does not
 * transform here, and it outlives this process for just as long as it takes to clean up, however this one ends.
 */
export default async function globalSetup() {
  const server = fork(fileURLToPath(new URL('database-server.ts', import.meta.url)), {
    cwd: root,
    execArgv: ['--no-warnings', '--import', '@swc-node/register/esm-register'],
    // Ctrl-C is for the tests; the database goes after them, when the channel closes.
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  globalThis.atriumTestServer = server;
  const compiled = compileSources();
  const { url, template, prefix, folder } = await new Promise((resolve, reject) => {
    server.once('message', resolve);
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`The test database did not start (exit code ${code})`)));
  });
  await compiled;
  // All that the tests and their processes leave in it goes with the run, also if it is killed.
  process.env.TMPDIR = folder;
  process.env.ATRIUM_TEST_SERVER = JSON.stringify({ url, template, prefix });
}
