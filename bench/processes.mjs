// Processes of a run: pinned to cores where that can be done, measured, and gone afterwards whatever happens.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';

const TICKS_PER_SECOND = 100;
const linux = process.platform === 'linux';
const read = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

/** The cores this process may use: the first for the servers, the second for the rest. Undefined: nothing is pinned. */
export const cores = findCores();

function findCores() {
  if (!linux || spawnSync('taskset', ['--version']).error) return undefined;
  const list = /Cpus_allowed_list:\s*(\S+)/.exec(read('/proc/self/status'))?.[1] ?? '';
  const allowed = list.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, n) => from + n);
  });
  return allowed.length < 2 ? undefined : { server: allowed[0], rest: allowed[1], both: list };
}

/** Moves this process, and with it whatever it starts from now on, to the second core. */
export function pinSelf() {
  if (cores) spawnSync('taskset', ['-a', '-p', '-c', String(cores.rest), String(process.pid)]);
}

const living = new Set();
let ending = false;

/** Starts a Node process. `core`: `server`, `rest` or `both`. Its error output is kept for the report of a failure. */
export function startNode(args, { core, env = {}, cwd, ipc = false }) {
  if (ending) throw new Error('The run is ending: nothing is started any more');
  const command = [process.execPath, ...args];
  if (cores) command.unshift('taskset', '-c', String(cores[core]));
  const child = spawn(command[0], command.slice(1), {
    cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? ['ipc'] : [])],
  });
  child.said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => (child.said = (child.said + text).slice(-4_000)));
  living.add(child);
  child.once('exit', () => living.delete(child));
  return child;
}

/** Asks a process to end, and makes it end. */
export async function stop(child, patienceMs = 8_000) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  await exited;
  clearTimeout(timer);
}

/** Ends what runs, and lets nothing start any more. */
export function stopAll() {
  ending = true;
  return Promise.all([...living].map((child) => stop(child)));
}

/** A port that was free just now. */
export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The status of a GET, 0 when nobody answers. */
function statusOf(port, path) {
  return new Promise((resolve) => {
    http
      .get({ port, path, host: '127.0.0.1', agent: false }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode));
      })
      .on('error', () => resolve(0));
  });
}

/** Waits until a server answers 200. */
export async function untilReady(child, port, path, everyMs = 50) {
  const limit = performance.now() + 60_000;
  while ((await statusOf(port, path)) !== 200) {
    if (child.exitCode !== null)
      throw new Error(`${child.spawnargs.at(-1)} ended with ${child.exitCode}:\n${child.said}`);
    if (performance.now() > limit)
      throw new Error(`${child.spawnargs.at(-1)} is not ready after 60 s:\n${child.said}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** Whether a process other than this one has the folder in its command line. */
export function isUsed(folder) {
  if (!linux) return false;
  const others = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return others.some((name) => read(`/proc/${name}/cmdline`).includes(folder));
}

/** Seconds of processor time that a process has used. */
export function cpuOf(pid) {
  const fields = read(`/proc/${pid}/stat`).split(') ')[1]?.split(' ');
  return fields ? (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND : 0;
}

/** The same of a PostgreSQL server with all its sessions, those that have ended too. */
export function cpuOfFamily(pid) {
  if (!linux) return 0;
  const fieldsOf = (id) => read(`/proc/${id}/stat`).split(') ')[1]?.split(' ') ?? [];
  const ended = fieldsOf(pid);
  const reaped = (Number(ended[13]) + Number(ended[14])) / TICKS_PER_SECOND;
  const children = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && fieldsOf(name)[1] === String(pid),
  );
  return [String(pid), ...children].reduce((sum, each) => sum + cpuOf(each), reaped);
}

/** Seconds of processor time that the whole machine has used. */
export function cpuOfMachine() {
  const [user, nice, system, , , irq, softirq, steal] = read('/proc/stat')
    .split('\n')[0]
    .split(/\s+/)
    .slice(1);
  return (
    [user, nice, system, irq, softirq, steal].reduce((sum, n) => sum + Number(n ?? 0), 0) / TICKS_PER_SECOND
  );
}

/** Waits until the rest of the machine is calm, at most so long. */
export async function untilQuiet(limitMs) {
  const limit = performance.now() + limitMs;
  while (linux && performance.now() < limit) {
    const before = cpuOfMachine();
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (cpuOfMachine() - before < 0.1) return;
  }
}
