import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { freePort } from '../support/free-port.js';
import { until } from '../support/until.js';
import type { Ground } from './ground.js';

/** A Redis that a drill does things to. It keeps its port over restarts. */
export class Redis {
  private child: ChildProcess | undefined;

  private constructor(
    private readonly ground: Ground,
    private readonly port: number,
  ) {}

  /** Whether there is a `redis-server` to start. */
  static get isInstalled(): boolean {
    return spawnSync('redis-server', ['--version']).status === 0;
  }

  static async prepare(ground: Ground): Promise<Redis> {
    const redis = new Redis(ground, await freePort());
    await redis.start();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const settings = { port: String(this.port), bind: '127.0.0.1', save: '', appendonly: 'no' };
    const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn('redis-server', flags, { cwd: this.ground.folder, stdio: 'ignore' });
    this.child = this.ground.guard(child);
    await until('Redis answers', () => this.answers());
  }

  private async answers(): Promise<boolean> {
    const socket = connect(this.port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  }

  kill(): Promise<void> {
    return this.end('SIGKILL');
  }

  terminate(): Promise<void> {
    return this.end('SIGTERM');
  }

  pause(): void {
    this.child?.kill('SIGSTOP');
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
}
