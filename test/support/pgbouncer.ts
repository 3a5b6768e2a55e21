import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort } from './free-port.js';
import { until } from './until.js';

/** A PgBouncer of a test's own, in transaction mode. */
export interface TestPgBouncer {
  /** A database's URL by way of it. */
  url(databaseUrl: string): string;
  stop(): Promise<void>;
}

/** As few connections as make clients take turns. */
const SERVER_CONNECTIONS = 4;

/** Runs it until its input ends, so that it goes with whoever started it, however that ends. */
const GUARDED = 'pgbouncer "$@" >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -KILL $!; wait';

/**
 * Stands before the server of this URL with nothing configured that a provider would not configure, too: it takes no
 * settings with which sessions begin, and prepares nothing.
 */
export async function startPgBouncer(serverUrl: string): Promise<TestPgBouncer> {
  const server = new URL(serverUrl);
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'atrium-pgbouncer-'));
  await chmod(folder, 0o755);
  const file = join(folder, 'pgbouncer.ini');
  const { hostname, port: serverPort, username, password } = server;
  await writeFile(
    file,
    `[databases]
* = host=${hostname} port=${serverPort} user=${username} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${SERVER_CONNECTIONS}
max_client_conn = 500
`,
  );
  // It refuses to run as root.
  const account = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child = spawn('sh', ['-c', GUARDED, 'sh', ...account, file], { stdio: ['pipe', 'pipe', 'ignore'] });
  const url = (databaseUrl: string): string => {
    const found = new URL(databaseUrl);
    found.hostname = '127.0.0.1';
    found.port = String(port);
    return found.href;
  };
  await until('PgBouncer answers', () => answers(url(serverUrl)));
  return {
    url,
    stop: async () => {
      const ended = once(child, 'close');
      child.stdin.end();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function answers(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
