/** The folder of one test run: its PostgreSQL's data, and all that its tests take for temporary. */
import { chmod, glob, mkdtemp, readdir, readFile, readlink, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { removeEmbedded } from '../../src/database/embedded.js';

const FOLDER = 'atrium-test-';
/** A younger folder may belong to a run that has no server in it at this moment. */
const STARTING_MS = 10 * 60_000;
/** Linux's file system in memory: the hundred databases of a run are sixty thousand files. */
const MEMORY = '/dev/shm';
/** Several times what a run holds at once; where a container has little memory to share, it is 64 MiB. */
const MEMORY_NEEDED_BYTES = 4 * 2 ** 30;

/** Where runs may have their folders, best place first. */
export async function placesOfRuns(): Promise<[string, ...string[]]> {
  const found = await statfs(MEMORY).catch(() => undefined);
  const isLarge = found !== undefined && found.bavail * found.bsize >= MEMORY_NEEDED_BYTES;
  return isLarge ? [MEMORY, tmpdir()] : [tmpdir()];
}

/** Named so that the gate, which has a temporary folder of its own, sees whose it is. */
export async function makeRunFolder(place: string): Promise<string> {
  const folder = await mkdtemp(join(place, `${FOLDER}${basename(tmpdir())}-${process.pid}-`));
  // The server's account passes through.
  await chmod(folder, 0o755);
  return folder;
}

/** Ends every process that the run started and that is still there, and removes the folder. */
export async function removeRunFolder(folder: string): Promise<void> {
  for (const pid of await processesIn(folder)) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  await removeEmbedded(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Removes what runs left behind that were killed together with their server's process. */
export async function sweepRunFolders(places: readonly string[]): Promise<void> {
  for (const place of places)
    for (const name of await readdir(place)) {
      const [, pid] = /-(\d+)-[^-]*$/.exec(name) ?? [];
      const folder = join(place, name);
      if (name.startsWith(FOLDER) && !isAlive(Number(pid)) && (await isOld(folder)))
        await removeRunFolder(folder).catch(() => undefined); // another run may be at it, too
    }
}

async function isOld(folder: string): Promise<boolean> {
  const found = await stat(folder).catch(() => undefined);
  return found?.uid === process.getuid?.() && Date.now() - (found?.mtimeMs ?? 0) > STARTING_MS;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Those that work in the folder, or have it in their environment or, as these may be overwritten, their arguments. */
async function processesIn(folder: string): Promise<number[]> {
  const found = new Set<number>();
  // There is none where there is no /proc, as on a Mac.
  for await (const file of glob('/proc/[0-9]*/{environ,cmdline,cwd}')) {
    const read = file.endsWith('cwd') ? readlink(file) : readFile(file, 'latin1');
    const text = await read.catch(() => '');
    const pid = Number(file.split('/')[2]);
    if (text.includes(folder) && pid !== process.pid) found.add(pid);
  }
  return [...found];
}
