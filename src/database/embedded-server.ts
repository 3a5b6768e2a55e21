import { randomBytes } from 'node:crypto';
import {
  chown,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Binaries, runAs } from './embedded-binaries.js';
import { EmbeddedServerError, type Home, isCode } from './embedded-home.js';

/** The superuser of the embedded server, and the database that Atrium keeps its data in. */
export const EMBEDDED_USER = 'atrium';
export const EMBEDDED_DATABASE = 'atrium';

/** In the cluster's folder, so that a cluster and its password come into being in one rename. */
const PASSWORD_FILE = 'atrium.password';
const LOG_FILE = 'server.log';
const LOG_LIMIT_BYTES = 5 * 1_048_576;
const START_LIMIT_SECONDS = 60;
/** A draft of a cluster that old was left behind by a process that died. */
const DRAFT_LIFETIME_MS = 10 * 60_000;

/** Every commit is on disk when it is answered; sized for a laptop. */
const SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '256MB',
  // No replica ever reads this log.
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_wal_size: '1GB',
  checkpoint_timeout: '15min',
  random_page_cost: '1.1',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Statements that fail are the application's to report.
  log_min_messages: 'log',
  log_checkpoints: 'off',
};

/** What `postmaster.pid` says of a living server. */
export interface RunningServer {
  readonly pid: number;
  readonly port: number;
  readonly ready: boolean;
}

/**
 * Makes the cluster if there is none: UTF-8, collated by code point, its password random and readable by this
 * user alone, on disk before it is used unless `sync` is off. Interrupted, it leaves nothing that a later start would take for a cluster.
 * @throws {EmbeddedServerError} when the data belongs to another major version
 */
export async function ensureCluster(
  home: Home,
  binaries: Binaries,
  options: { readonly sync: boolean },
): Promise<void> {
  const version = await readFile(join(home.data, 'PG_VERSION'), 'utf8').catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return undefined;
    throw notOurs(home, error);
  });
  if (version === undefined) return createCluster(home, binaries, options);
  if (Number(version) !== binaries.major)
    throw new EmbeddedServerError(
      `The data in ${home.data} was written by PostgreSQL ${version.trim()}, and this is ${binaries.major}: move ` +
        'the data over with pg_dump, or move the folder away to start anew',
    );
}

/** @throws {EmbeddedServerError} when it is missing or somebody else's */
export async function readPassword(home: Home): Promise<string> {
  try {
    return await readFile(join(home.data, PASSWORD_FILE), 'utf8');
  } catch (cause) {
    throw notOurs(home, cause);
  }
}

function notOurs(home: Home, cause: unknown): EmbeddedServerError {
  return new EmbeddedServerError(
    `The embedded database in ${home.data} cannot be read: start Atrium as the user who made it, or move the ` +
      'folder away to start anew',
    { cause },
  );
}

async function createCluster(
  home: Home,
  binaries: Binaries,
  options: { readonly sync: boolean },
): Promise<void> {
  await sweepDrafts(home);
  const draft = `${home.data}.draft-${process.pid}-${randomBytes(4).toString('hex')}`;
  const passwordFile = `${draft}.password`;
  const password = randomBytes(24).toString('base64url');
  try {
    await mkdir(draft, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (home.account)
      for (const path of [draft, passwordFile]) await chown(path, home.account.uid, home.account.gid);
    await runAs(home, binaries.initdb, [
      `--pgdata=${draft}`,
      `--username=${EMBEDDED_USER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      ...(options.sync ? [] : ['--no-sync']),
    ]);
    await writeFile(join(draft, PASSWORD_FILE), password, { mode: 0o600 });
    await rename(draft, home.data).catch((error: unknown) => {
      // Another process that starts at the same moment was faster: its cluster is the one.
      if (!isCode(error, 'ENOTEMPTY') && !isCode(error, 'EEXIST')) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
    await rm(passwordFile, { force: true });
  }
}

async function sweepDrafts(home: Home): Promise<void> {
  for (const name of await readdir(home.folder)) {
    if (!name.startsWith('data.draft-')) continue;
    const path = join(home.folder, name);
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > DRAFT_LIFETIME_MS) await rm(path, { recursive: true, force: true });
  }
}

/** The server that runs on this data, as far as its lock file tells; whether it answers is another question. */
export async function findServer(home: Home): Promise<RunningServer | undefined> {
  const lines = (await readFile(join(home.data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0 || !(await isServer(pid, home))) return undefined;
  return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
}

/** A process id alone proves nothing: after a restart of the machine it may be anybody's. */
async function isServer(pid: number, home: Home): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (process.platform !== 'linux') return true;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes(home.data);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, 'EPERM');
  }
}

/**
 * Starts the server in a session of its own, so that it outlives a Ctrl-C until this process has drained.
 * @param port the port to take; a free one when undefined
 * @throws {EmbeddedServerError} with what the server logged
 */
export async function startServer(
  home: Home,
  binaries: Binaries,
  options: { readonly port: number | undefined; readonly settings: Readonly<Record<string, string>> },
): Promise<void> {
  await removeForeignLock(home);
  const log = join(home.data, LOG_FILE);
  const before = await trimLog(log);
  const settings = { ...SETTINGS, ...options.settings, port: String(options.port ?? (await freePort())) };
  const flags = Object.entries(settings).map(([name, value]) => `-c "${name}=${value}"`);
  const limit = String(START_LIMIT_SECONDS);
  const args = ['start', '-D', home.data, '-w', '-s', '-t', limit, '-l', log, '-o', flags.join(' ')];
  try {
    await runAs(home, binaries.pgCtl, args);
  } catch (cause) {
    const said = (await readFile(log).catch(() => Buffer.alloc(0))).subarray(before).toString().trim();
    throw new EmbeddedServerError(`The embedded PostgreSQL did not start: ${said || String(cause)}`, {
      cause,
    });
  }
}

/** Stops the server; connections are cut, transactions under way roll back. */
export async function stopServer(home: Home, binaries: Binaries): Promise<void> {
  const args = ['stop', '-D', home.data, '-w', '-s', '-t', String(START_LIMIT_SECONDS)];
  await runAs(home, binaries.pgCtl, [...args, '-m', 'fast']).catch(async (error: unknown) => {
    if (!(await findServer(home))) return;
    await runAs(home, binaries.pgCtl, [...args, '-m', 'immediate']).catch(() => {
      throw error;
    });
  });
}

/**
 * A lock file whose process id now belongs to another program (after a restart of a container, say) would keep the
 * server from starting for ever. It goes, once no process works in the data folder any more: after a crash the
 * last sessions may still be finishing, and starting beside them would ruin the data.
 */
async function removeForeignLock(home: Home): Promise<void> {
  if (process.platform !== 'linux' || (await findServer(home))) return;
  const lock = join(home.data, 'postmaster.pid');
  const pid = Number((await readFile(lock, 'utf8').catch(() => '')).split('\n')[0]);
  // A process that is gone PostgreSQL recognises by itself.
  if (!pid || !isAlive(pid)) return;
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    if ((await readlink(`/proc/${name}/cwd`).catch(() => '')) === home.data) return;
  }
  await rm(lock, { force: true });
}

/** Keeps the log from growing for ever. Answers with its length, in bytes. */
async function trimLog(log: string): Promise<number> {
  const size = (await stat(log).catch(() => undefined))?.size ?? 0;
  if (size <= LOG_LIMIT_BYTES) return size;
  await truncate(log);
  return 0;
}

/** Whether a server could not start because another program took its port. */
export function isPortTaken(error: unknown): boolean {
  return error instanceof EmbeddedServerError && /could not bind|Address already in use/.test(error.message);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address) resolve(address.port);
        else reject(new Error('no free port'));
      });
    });
  });
}
