import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { builtMain } from './build.js';
import { codeCache } from './native/paths.mjs';
import { until } from './until.js';

/** Atrium as a process of its own. */
export interface AtriumProcess {
  readonly child: ChildProcess;
  /** Everything that it has printed so far. */
  output(): string;
  /** Resolves when it has ended; with its exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  /** Waits until it says where it listens. */
  url(): Promise<string>;
  /** Ends it in any case. */
  kill(): Promise<void>;
}

/**
 * Starts the built application with these variables and no others.
 * @param main another build's `main.js`
 */
export async function spawnAtrium(
  variables: Readonly<Record<string, string>>,
  main?: string,
): Promise<AtriumProcess> {
  const file = main ?? (await builtMain());
  const child = spawn(process.execPath, ['--no-warnings', file], {
    // No `.env` of the developer's here.
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: codeCache, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  let hasExited = false;
  void exited.then(() => (hasExited = true));
  return {
    child,
    exited,
    output: () => text,
    url: () =>
      until(
        'the process listens',
        () => {
          if (hasExited) throw new Error(`It ended instead:\n${text}`);
          return /^Atrium serves (\S+)$/m.exec(text)?.[1];
        },
        100_000, // as long as a test may take: a busy machine starts many at once
      ),
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
