import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readlink, realpath, rm, stat, symlink, chmod } from 'node:fs/promises';
import { dirname, join, parse, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The system account that the server runs as. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Where an embedded server lives. All paths are absolute and free of links. */
export interface Home {
  readonly folder: string;
  /** The cluster's own folder (PGDATA). */
  readonly data: string;
  /** `undefined`: the server runs as who runs this process. */
  readonly account: Account | undefined;
}

/** The embedded server cannot run here; the message names the mend. */
export class EmbeddedServerError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'EmbeddedServerError';
  }
}

/** The whole environment of the server's programs: nobody's `PG*` or locale reaches them. */
export const PROGRAM_ENVIRONMENT: NodeJS.ProcessEnv = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
};

/** Where the data of a root user goes when the server's account cannot enter the folder meant for it. */
const ELSEWHERE = '/var/lib/atrium-postgres';
/** PostgreSQL refuses root. The first of these that exists is used, else the last one is created. */
const ACCOUNT_NAMES = ['postgres', 'atrium-postgres'] as const;

/**
 * Finds or makes the place for the data, `<dataDir>/postgres`. For root that may be a link to a folder under
 * /var/lib: PostgreSQL does not run as root, and its account cannot enter a private folder such as /root.
 * @throws {EmbeddedServerError} when neither place works
 */
export async function prepareHome(dataDir: string, log: (line: string) => void): Promise<Home> {
  await mkdir(dataDir, { recursive: true });
  const place = join(dataDir, 'postgres');
  const root = process.getuid?.() === 0;
  const known = await existingFolder(place);
  if (known) {
    const data = join(known, 'data');
    const account = root ? ((await ownerOf(data)) ?? (await findAccount())) : undefined;
    const closed = account && (await firstClosedFolder(data, account));
    if (closed) throw unreachable(closed, account);
    return { folder: known, data, account };
  }
  const account = root ? await findAccount() : undefined;
  const closed = account && (await firstClosedFolder(place, account));
  if (account && closed) await linkElsewhere(place, closed, account, log);
  else await makeFolder(place);
  const folder = await realpath(place);
  return { folder, data: join(folder, 'data'), account };
}

/** Removes the data for good, also where it lives elsewhere. The server must not be running. */
export async function removeHome(dataDir: string): Promise<void> {
  const place = join(dataDir, 'postgres');
  const folder = await realpath(place).catch(() => undefined);
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  await rm(place, { recursive: true, force: true });
}

/**
 * The outermost folder on the way to `path` (which need not exist) that the account may not enter, if any. The
 * system itself is asked, as the account: modes alone do not know of access lists and mounts.
 */
export async function firstClosedFolder(path: string, account: Account): Promise<string | undefined> {
  const folders: string[] = [];
  for (let folder = dirname(path); folder !== parse(folder).root; folder = dirname(folder))
    folders.unshift(folder);
  const script = 'for f; do [ ! -e "$f" ] || [ -x "$f" ] || { printf %s "$f"; exit; }; done';
  const { stdout } = await run('/bin/sh', ['-c', script, 'sh', ...folders], {
    uid: account.uid,
    gid: account.gid,
    cwd: '/',
    env: PROGRAM_ENVIRONMENT,
  });
  return stdout === '' ? undefined : stdout;
}

function unreachable(closed: string, account: Account): EmbeddedServerError {
  return new EmbeddedServerError(
    `PostgreSQL does not run as root, and its user ${account.name} may not enter ${closed}. Allow it ` +
      `(chmod o+x ${closed}), set DATA_DIR to a folder that it can reach, or set DATABASE_URL to a server of your own`,
  );
}

async function linkElsewhere(
  place: string,
  closed: string,
  account: Account,
  log: (line: string) => void,
): Promise<void> {
  const folder = join(ELSEWHERE, randomBytes(6).toString('hex'));
  try {
    await mkdir(folder, { recursive: true });
    await chmod(ELSEWHERE, 0o755);
    await chmod(folder, 0o755);
  } catch (cause) {
    throw new EmbeddedServerError(unreachable(closed, account).message, { cause });
  }
  if (await firstClosedFolder(join(folder, 'data'), account)) {
    await rm(folder, { recursive: true, force: true });
    throw unreachable(closed, account);
  }
  try {
    await symlink(folder, place);
    log(`PostgreSQL's user ${account.name} may not enter ${closed}: the data is kept in ${folder}`);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    // Another process that starts at the same moment made the place first.
    if (!isCode(error, 'EEXIST')) throw error;
  }
}

/** The folder that stands at `place` or that a link there names, made again if the link's target is gone. */
async function existingFolder(place: string): Promise<string | undefined> {
  const found = await lstat(place).catch(() => undefined);
  if (!found) return undefined;
  if (found.isSymbolicLink()) await makeFolder(resolve(dirname(place), await readlink(place)));
  return realpath(place);
}

async function makeFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true });
  // Whatever the umask: the account passes through; the data below is closed to everybody else.
  if (made !== undefined && process.getuid?.() === 0) await chmod(folder, 0o755);
}

/** Data keeps its owner: PostgreSQL starts only as the user whom the folder belongs to. */
async function ownerOf(data: string): Promise<Account | undefined> {
  const found = await stat(data).catch(() => undefined);
  return found && found.uid !== 0
    ? { name: `with id ${found.uid}`, uid: found.uid, gid: found.gid }
    : undefined;
}

/** The account to run as when this process is root's. @throws {EmbeddedServerError} when none can be made */
async function findAccount(): Promise<Account> {
  for (const name of ACCOUNT_NAMES) {
    const account = await lookUp(name);
    if (account) return account;
  }
  const name = ACCOUNT_NAMES[1];
  const shell = ['--shell', '/usr/sbin/nologin'];
  const ways = [
    ['useradd', '--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent', ...shell, name],
    ['adduser', '-S', '-D', '-H', name],
  ];
  let cause: unknown;
  for (const [command = '', ...args] of ways) {
    await run(command, args, { env: PROGRAM_ENVIRONMENT }).catch((error: unknown) => (cause ??= error));
    // Looked up whatever the command said: a process beside this one may have been faster.
    const account = await lookUp(name);
    if (account) return account;
  }
  throw new EmbeddedServerError(
    `PostgreSQL does not run as root, and the system user ${name} could not be created. Create it, start Atrium ` +
      'as another user, or set DATABASE_URL to a server of your own',
    { cause },
  );
}

async function lookUp(name: string): Promise<Account | undefined> {
  try {
    const [user, group] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    return { name, uid: Number(user.stdout), gid: Number(group.stdout) };
  } catch {
    return undefined;
  }
}

/** Whether an error of the file system or a child process carries this code. */
export function isCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
