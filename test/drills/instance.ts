import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../support/free-port.js';
import { type AtriumProcess, spawnAtrium } from '../support/process.js';
import { until } from '../support/until.js';
import { FaultyProxy } from './faulty-proxy.js';
import type { Ground } from './ground.js';

/** A PostgreSQL that instances can stand on. */
export interface DatabaseServer {
  readonly port: number;
  /** A URL of a database, by way of `port` if there is something before it. */
  url(database: string, port?: number): string;
}

const READY_MS = 60_000;
const EXIT_MS = 20_000;

/** One of the processes that a drill is hard on. It keeps its address over restarts. */
export class Instance {
  private process: AtriumProcess | undefined;
  /** Whether a process of it has ended that nobody had ended. */
  hasDied = false;
  /** What earlier processes and this one have printed. */
  private said = '';

  private constructor(
    readonly name: string,
    private readonly ground: Ground,
    private readonly port: number,
    private readonly variables: Readonly<Record<string, string>>,
    private readonly main: string,
    /** Between it and PostgreSQL. */
    readonly database: FaultyProxy,
    /** Between subscribers and it. */
    readonly front: FaultyProxy,
  ) {}

  static async prepare(
    name: string,
    ground: Ground,
    options: {
      readonly database: string;
      readonly main: string;
      readonly variables: Readonly<Record<string, string>>;
      /** That of the ground, unless told otherwise. */
      readonly server?: DatabaseServer;
    },
  ): Promise<Instance> {
    const { server = ground } = options;
    const port = await freePort();
    const database = await FaultyProxy.start(server.port);
    const front = await FaultyProxy.start(port);
    const variables = {
      ...options.variables,
      PORT: String(port),
      DATABASE_URL: server.url(options.database, database.port),
    };
    return new Instance(name, ground, port, variables, options.main, database, front);
  }

  /** Its own address, without a proxy before it. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Its address for subscribers. */
  get frontUrl(): string {
    return `http://127.0.0.1:${this.front.port}`;
  }

  get output(): string {
    return this.said + (this.process?.output() ?? '');
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    const started = await spawnAtrium(this.variables, this.main);
    this.process = started;
    void started.exited.then(() => {
      if (this.process === started) this.hasDied = true;
    });
    this.ground.guard(started.child);
    await started.url();
    await until(`${this.name} is ready`, () => this.isReady(), READY_MS);
  }

  private async isReady(): Promise<boolean> {
    return fetch(`${this.url}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  get pid(): number | undefined {
    return this.process?.child.pid;
  }

  /** `kill -9` */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Its clock jumps, where it was started with one that does (shifting-clock.mjs). */
  shiftClock(): void {
    this.process?.child.kill('SIGWINCH');
  }

  /** SIGTERM. @returns the exit code */
  async terminate(): Promise<number | string> {
    return this.end('SIGTERM');
  }

  private async end(signal: NodeJS.Signals): Promise<number | string> {
    const { process } = this;
    if (!process) throw new Error(`${this.name} does not run`);
    this.process = undefined;
    process.child.kill(signal);
    const code = await Promise.race([process.exited, delay(EXIT_MS, undefined, { ref: false })]);
    if (code === undefined) await process.kill();
    this.said += process.output();
    return code ?? 'did not end';
  }

  async close(): Promise<void> {
    if (this.process) await this.end('SIGKILL');
    this.database.close();
    this.front.close();
  }
}
