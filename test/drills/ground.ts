import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client, type QueryResultRow } from 'pg';
import { type Binaries, locateBinaries, runAs } from '../../src/database/embedded-binaries.js';
import { type Account, type Home, prepareHome } from '../../src/database/embedded-home.js';
import {
  EMBEDDED_USER,
  ensureCluster,
  findServer,
  readPassword,
  startServer,
} from '../../src/database/embedded-server.js';
import { until } from '../support/until.js';

/** What all drills of a run stand on: one PostgreSQL of their own, a folder, and the keeper who clears it all away. */
export class Ground {
  private count = 0;

  private constructor(
    /** For records; gone with the run. */
    readonly folder: string,
    private readonly keeper: ChildProcess,
    private readonly home: Home,
    private readonly binaries: Binaries,
    private readonly password: string,
    readonly port: number,
  ) {}

  static async prepare(): Promise<Ground> {
    const folder = mkdtempSync(join(tmpdir(), 'atrium-drill-'));
    // Of its own session, so that it outlives a Ctrl-C and a kill of the run.
    const keeper = fork(join(import.meta.dirname, 'keeper.mjs'), { detached: true, stdio: 'ignore' });
    keeper.send({ folder });
    chmodSync(folder, 0o755); // the server's account passes through
    const home = await prepareHome(folder, () => undefined);
    keeper.send({ data: home.data });
    const binaries = await locateBinaries(home);
    await ensureCluster(home, binaries, { sync: false });
    await startServer(home, binaries, { port: undefined, settings: SETTINGS });
    const server = await findServer(home);
    if (!server) throw new Error('PostgreSQL has started and is gone');
    return new Ground(folder, keeper, home, binaries, await readPassword(home), server.port);
  }

  /** Tells the keeper of a process, until it has ended. */
  guard<Child extends ChildProcess>(child: Child): Child {
    const { pid } = child;
    if (pid === undefined) return child;
    this.keeper.send({ started: pid });
    child.once('exit', () => this.keeper.connected && this.keeper.send({ ended: pid }));
    return child;
  }

  /** As whom the server runs, where that is somebody else. */
  get account(): Account | undefined {
    return this.home.account;
  }

  /** Tells the keeper of a process that is nobody's child here. */
  watch(pid: number | undefined): void {
    if (pid !== undefined) this.keeper.send({ started: pid });
  }

  /** That it has ended. */
  unwatch(pid: number | undefined): void {
    if (pid !== undefined && this.keeper.connected) this.keeper.send({ ended: pid });
  }

  /** Has a folder removed when the run is over. */
  discard(folder: string): void {
    this.keeper.send({ folder });
  }

  /** A URL of a database on the server, by way of `port` if there is something before it. */
  url(database: string, port = this.port): string {
    return `postgresql://${EMBEDDED_USER}:${this.password}@127.0.0.1:${port}/${database}?sslmode=disable`;
  }

  /** Makes an empty database. @returns its name */
  async createDatabase(): Promise<string> {
    const name = `drill_${++this.count}`;
    const create = `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`;
    await this.ask('postgres', create);
    return name;
  }

  async dropDatabase(name: string): Promise<void> {
    const drop = `DROP DATABASE ${name} WITH (FORCE)`;
    await this.ask('postgres', drop);
  }

  /** Runs one statement on a connection of its own. */
  async ask<Row extends QueryResultRow>(
    database: string,
    text: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    const client = await this.connect(database);
    try {
      return (await client.query<Row>(text, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  /** A connection that a fault holds something with. */
  async connect(database: string): Promise<Client> {
    const client = new Client({ connectionString: this.url(database), application_name: 'drill' });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** `pg_ctl stop -m immediate`: every server process ends at once, as in a crash. */
  async crash(): Promise<void> {
    await runAs(this.home, this.binaries.pgCtl, [
      'stop',
      '-D',
      this.home.data,
      '-s',
      '-w',
      '-m',
      'immediate',
    ]);
  }

  /** Starts the server again; it recovers from its log. */
  async recover(): Promise<void> {
    await until('PostgreSQL is up again', async () => {
      // The first try may meet sessions of before.
      const options = { port: this.port, settings: SETTINGS };
      return startServer(this.home, this.binaries, options).then(
        () => true,
        () => false,
      );
    });
  }

  /** Ends everything that the run has started and removes what it wrote. */
  async clear(): Promise<void> {
    if (this.keeper.exitCode !== null) return;
    const exited = once(this.keeper, 'exit');
    if (this.keeper.connected) this.keeper.disconnect();
    await exited;
  }

  /** Where the server writes its log; for the report of a failure. */
  get log(): string {
    return join(dirname(this.home.data), 'data', 'server.log');
  }
}

/** What is acknowledged survives a crash of the server; small, since drills are short. */
const SETTINGS = {
  shared_buffers: '64MB',
  max_wal_size: '256MB',
  // With its data it goes, however it ends. Of a server that lives on, the next start would clear it away.
  dynamic_shared_memory_type: 'mmap',
};
