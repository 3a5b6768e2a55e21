import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { compiledPath, root } from './native/paths.mjs';

/** Another process that uses an embedded server. */
export interface Holder {
  readonly url: string;
  /** Of the sessions that its data source opens; told only if it was given `PGOPTIONS`. */
  readonly searchPath?: string;
  /** Ends it as SIGTERM would end the application: it leaves the server. */
  leave(): Promise<void>;
  /** `kill -9` */
  kill(): Promise<void>;
}

/** Starts a process that starts or joins the embedded server in `dataDir`. */
export async function holdEmbedded(dataDir: string, env: Record<string, string> = {}): Promise<Holder> {
  const child = fork(compiledPath(join(root, 'test/support/database-holder.ts')), [dataDir], {
    cwd: root,
    env: { ...process.env, ...env },
    execArgv: ['--no-warnings'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const report = await new Promise<{ url: string; searchPath?: string }>((started, failed) => {
    child.once('message', (message) => started(message as { url: string; searchPath?: string }));
    child.once('exit', (code) => failed(new Error(`The process ended with ${String(code)}`)));
  });
  const ended = async (end: () => unknown) => {
    end();
    await exited;
  };
  return {
    ...report,
    leave: () => ended(() => child.disconnect()),
    kill: () => ended(() => child.kill('SIGKILL')),
  };
}

/** The process id of the server on this data, as its lock file names it; `undefined` once it is stopped. */
export async function serverPid(dataDir: string): Promise<number | undefined> {
  const lock = await readFile(join(dataDir, 'postgres/data/postmaster.pid'), 'utf8').catch(() => undefined);
  return lock === undefined ? undefined : Number(lock.split('\n')[0]);
}

/** Runs one statement on a connection of its own. */
export async function ask<Row extends object>(
  url: string,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}

/** Asks again until the answer is neither false nor an error. @throws the last error, after a minute */
export async function until<T>(question: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    try {
      const answer = await question();
      if (answer !== false) return answer;
      if (performance.now() > deadline) throw new Error(`Still not so: ${question.toString()}`);
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await delay(20);
  }
}
