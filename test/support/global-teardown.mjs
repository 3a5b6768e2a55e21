import { once } from 'node:events';

/** Ends the run's PostgreSQL, and what still uses it in this process, and waits until nothing of it is left. */
export default async function globalTeardown() {
  await globalThis.stopSharedAtrium?.();
  const server = globalThis.atriumTestServer;
  if (!server || server.exitCode !== null) return;
  const exited = once(server, 'exit');
  server.disconnect();
  await exited;
}
