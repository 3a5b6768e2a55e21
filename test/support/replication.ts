import { execFile } from 'node:child_process';
import { appendFile, chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { type Binaries, locateBinaries, runAs } from '../../src/database/embedded-binaries.js';
import { type Home, prepareHome } from '../../src/database/embedded-home.js';
import {
  EMBEDDED_USER,
  ensureCluster,
  findServer,
  readPassword,
  startServer,
} from '../../src/database/embedded-server.js';
import { ask } from './database-embedded.js';
import { until } from './until.js';

/** What a replica calls itself to its primary. */
export const REPLICA_NAME = 'replica';

type Settings = Readonly<Record<string, string>>;

/** Small, and fit to be followed. */
const SETTINGS: Settings = {
  wal_level: 'replica',
  max_wal_senders: '4',
  wal_keep_size: '256MB',
  max_wal_size: '512MB',
  shared_buffers: '32MB',
  max_connections: '100',
  hot_standby: 'on',
  // With its data it goes, also when it is killed.
  dynamic_shared_memory_type: 'mmap',
};
/** What a copy does not take along: the lock and the log of the other one's life. */
const NOT_COPIED = new Set(['postmaster.pid', 'postmaster.opts', 'pg_wal', 'pg_replslot', 'pg_dynshmem']);

/** A PostgreSQL of a test's own, with a replica or as one. */
export class StreamingServer {
  /** Where it listens. */
  port = 0;

  private constructor(
    private readonly folder: string,
    readonly home: Home,
    private readonly binaries: Binaries,
    private readonly settings: Settings,
    private password = '',
  ) {}

  /** Starts one that can be followed. */
  static async start(settings: Settings = {}): Promise<StreamingServer> {
    const server = await StreamingServer.prepare({ ...SETTINGS, ...settings });
    await ensureCluster(server.home, server.binaries, { sync: false });
    server.password = await readPassword(server.home);
    await server.start();
    return server;
  }

  private static async prepare(settings: Settings): Promise<StreamingServer> {
    const folder = await mkdtemp(join(tmpdir(), 'atrium-streaming-'));
    await chmod(folder, 0o755); // the server's account passes through
    const home = await prepareHome(folder, () => undefined);
    return new StreamingServer(folder, home, await locateBinaries(home), settings);
  }

  /** Copies this server while it runs (low-level backup API), and has the copy follow it. */
  async startReplica(settings: Settings = {}): Promise<StreamingServer> {
    const replica = await StreamingServer.prepare({ ...this.settings, ...settings });
    replica.password = this.password;
    const client = new Client({ connectionString: this.url() });
    await client.connect();
    try {
      await client.query(`SELECT pg_backup_start('replica', fast => true)`);
      await replica.copy(this.home.data);
      const { rows } = await client.query<{ labelfile: string }>(
        'SELECT labelfile FROM pg_backup_stop(false)',
      );
      await replica.write('backup_label', rows[0]?.labelfile ?? '');
    } finally {
      await client.end();
    }
    await replica.write('standby.signal', '');
    await appendFile(
      join(replica.home.data, 'postgresql.auto.conf'),
      `primary_conninfo = 'host=127.0.0.1 port=${this.port} user=${EMBEDDED_USER} password=${this.password} application_name=${REPLICA_NAME}'\n`,
    );
    await replica.start();
    await until('the replica follows', async () => {
      const [row] = await this.ask<{ state: string }>('SELECT state FROM pg_stat_replication');
      return row?.state === 'streaming';
    });
    return replica;
  }

  /** A URL of a database, by way of `at` if there is something before it. */
  url(database = 'postgres', at = this.port): string {
    return `postgresql://${EMBEDDED_USER}:${this.password}@127.0.0.1:${at}/${database}?sslmode=disable`;
  }

  /** One statement on a connection of its own. */
  ask<Row extends object>(text: string, database = 'postgres'): Promise<Row[]> {
    return ask<Row>(this.url(database), text);
  }

  /** Starts it, at the address that it had before. */
  async start(): Promise<void> {
    const port = this.port || undefined;
    await until('the server starts', () =>
      startServer(this.home, this.binaries, { port, settings: this.settings }).then(
        () => true,
        // After a crash its last sessions may still be ending.
        () => false,
      ),
    );
    this.port = (await findServer(this.home))?.port ?? 0;
  }

  /** Of its first process. */
  async pid(): Promise<number | undefined> {
    return (await findServer(this.home))?.pid;
  }

  /** As in a crash: every process of it ends at once. */
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

  /** Ends it for good, and removes its data. */
  async remove(): Promise<void> {
    if (await findServer(this.home)) await this.crash();
    await rm(this.home.folder, { recursive: true, force: true });
    await rm(this.folder, { recursive: true, force: true });
  }

  private async copy(from: string): Promise<void> {
    const names = (await readdir(from)).filter((name) => !NOT_COPIED.has(name));
    const { data, account } = this.home;
    await promisify(execFile)('mkdir', ['-m', '700', data]);
    await promisify(execFile)('cp', ['-a', ...names.map((name) => join(from, name)), data]).catch(
      // What is deleted while it is copied is not missed: the log tells of it.
      (error: unknown) => {
        if (!/cannot (stat|open)/.test(String(error))) throw error;
      },
    );
    for (const name of ['pg_wal', 'pg_replslot', 'pg_dynshmem'])
      await promisify(execFile)('mkdir', ['-m', '700', join(data, name)]);
    if (account) await promisify(execFile)('chown', ['-R', `${account.uid}:${account.gid}`, data]);
  }

  private async write(name: string, text: string): Promise<void> {
    const file = join(this.home.data, name);
    await writeFile(file, text, { mode: 0o600 });
    const { account } = this.home;
    if (account) await promisify(execFile)('chown', [`${account.uid}:${account.gid}`, file]);
  }
}
