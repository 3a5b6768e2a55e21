// Atrium without HTTP, in this process, on an embedded database of its own: for what its services and statements cost.
import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { seed } from './data.mjs';

/**
 * Builds Atrium, starts it on a filled database, lets `work` use it, and removes all of it, whatever happens.
 * `work` gets the application, `connect()` for connections beside Atrium's, and `load(path)` for its modules.
 * @param items so many; all of them when left out
 */
export function inside(work, items) {
  return onDatabase(async ({ url, folder, connect, load }) => {
    const { createApplication } = await load('application.js');
    const { loadConfig } = await load('config/config.js');
    const app = await createApplication(
      loadConfig({
        DATABASE_URL: url,
        DATA_DIR: folder,
        TOKEN_SECRET: randomBytes(32).toString('base64url'),
        LOG_LEVEL: 'warn',
      }),
    );
    try {
      await app.init();
      await seed(await connect(), items);
      await work({ app, connect, load });
    } finally {
      await app.close();
    }
  });
}

/**
 * Builds Atrium and starts an empty database for `work`, which gets its `url`, a `folder` that is removed with it, the
 * project's `root`, `connect()` and `load(path)`.
 */
export async function onDatabase(work) {
  const root = resolve(import.meta.dirname, '..');
  const nest = createRequire(import.meta.url).resolve('@nestjs/cli/bin/nest.js');
  const built = spawnSync(process.execPath, [nest, 'build'], { cwd: root, stdio: 'inherit' });
  if (built.status !== 0) process.exit(built.status ?? 1);
  const load = (path) => import(join(root, 'dist/src', path));

  const folder = mkdtempSync(join(tmpdir(), 'atrium-bench-'));
  chmodSync(folder, 0o755); // PostgreSQL may have to run as another user
  const { startEmbedded, removeEmbedded } = await load('database/embedded.js');
  const postgres = await startEmbedded({ dataDir: folder, log: () => undefined });
  const clients = [];
  const connect = async () => {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    clients.push(client);
    return client;
  };
  try {
    await work({ url: postgres.url, folder, root, connect, load });
  } finally {
    await Promise.all(clients.map((client) => client.end()));
    await postgres.stop();
    await removeEmbedded(folder);
    rmSync(folder, { recursive: true, force: true });
  }
}
