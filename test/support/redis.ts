import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.js';

/** A Redis of a test's own, which can have accidents. */
export interface TestRedis {
  readonly url: string;
  /** Ends it at once; what it knew is gone. */
  kill(): Promise<void>;
  /** Takes connections, and does not answer. */
  pause(): void;
  resume(): void;
  /** Starts it again at the same address. */
  start(): Promise<void>;
  /** Ends it for good. */
  stop(): Promise<void>;
}

/** Runs the server until its input ends, so that it goes with whoever started it, however that ends. */
const GUARDED = 'redis-server "$@" >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -KILL $!; wait';

/** What a node's port for others of its cluster is above its own. */
const CLUSTER_OFFSET = 6_000;

/** @param options `cluster`: a cluster of one node, which has all the slots */
export async function startRedis(options: { readonly cluster?: boolean } = {}): Promise<TestRedis> {
  const port = await freePorts();
  const dir = await mkdtemp(join(tmpdir(), 'atrium-redis-'));
  let guard: ReturnType<typeof run> | undefined;
  let pid = 0;

  function run() {
    const cluster = options.cluster
      ? ['--cluster-enabled', 'yes', '--cluster-port', `${port + CLUSTER_OFFSET}`]
      : [];
    const local = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir];
    const child = spawn('sh', ['-c', GUARDED, 'sh', ...local, '--save', '', ...cluster], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => (pid = Number(text)));
    return child;
  }

  const start = async () => {
    guard = run();
    await until('redis-server answers', () => ask(port, 'PING', '+PONG'));
    if (!options.cluster) return;
    await ask(port, 'CLUSTER ADDSLOTSRANGE 0 16383', '+OK');
    await until('the cluster is ready', () => ask(port, 'CLUSTER INFO', 'cluster_state:ok'));
  };
  const kill = async () => {
    const ended = guard && once(guard, 'close');
    guard?.stdin.end();
    guard = undefined;
    await ended;
  };
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    pause: () => void process.kill(pid, 'SIGSTOP'),
    resume: () => void process.kill(pid, 'SIGCONT'),
    start,
    stop: async () => {
      await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** A free port with a free one for a cluster, both below the range that other sockets are given (32,768 and up). */
async function freePorts(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * CLUSTER_OFFSET);
    if ((await isFree(port)) && (await isFree(port + CLUSTER_OFFSET))) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (!listens) return false;
  server.close();
  await once(server, 'close');
  return true;
}

/** Whether the answer to a command has this in it. */
function ask(port: number, command: string, expected: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\n`));
    let text = '';
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.includes(expected)) settle(true);
    });
    socket.setTimeout(500, () => settle(false));
    socket.on('error', () => settle(false));
    socket.on('close', () => settle(false));
  });
}
