import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Home, prepareHome } from '../../src/database/embedded-home.js';
import { ask } from '../support/database-embedded.js';
import { freePort } from '../support/free-port.js';
import { until } from '../support/until.js';

const run = promisify(execFile);
const scripts = resolve(import.meta.dirname, '../../deploy/backup');

/** A PostgreSQL as Debian packages it, with its own tools: the scripts of deploy/backup run as its account. */
export class OwnServer {
  private readonly ports = new Map<string, number>();

  private constructor(
    readonly folder: string,
    private readonly home: Home,
    private readonly bin: string,
  ) {}

  static async prepare(): Promise<OwnServer> {
    const [bin] = globSync('/usr/lib/postgresql/*/bin').toSorted();
    if (bin === undefined) throw new Error('There is no PostgreSQL on this machine');
    const outer = await mkdtemp(join(tmpdir(), 'atrium-backup-'));
    await chmod(outer, 0o755); // the server's account passes through
    const home = await prepareHome(outer, () => undefined);
    const folder = join(outer, 'backups');
    await mkdir(folder);
    if (home.account) await chown(folder, home.account.uid, home.account.gid);
    return new OwnServer(folder, home, bin);
  }

  /** Runs one of PostgreSQL's programs, or of our scripts. @returns what it says */
  async run(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> {
    const { account } = this.home;
    const file = program.endsWith('.sh') ? this.script(program) : resolve(this.bin, program);
    const { stdout } = await run(file, [...args], {
      ...(account && { uid: account.uid, gid: account.gid }),
      cwd: this.folder,
      env: { PATH: `${this.bin}:/usr/bin:/bin`, LC_ALL: 'C', ...env },
    });
    return stdout;
  }

  /** The path of one of the scripts. */
  script(name: string): string {
    return join(scripts, name);
  }

  async makeFolder(name: string): Promise<void> {
    await this.run('/bin/mkdir', [this.at(name)]);
  }

  /** Makes an empty cluster, which anybody on this machine may enter. */
  async create(data: string): Promise<void> {
    const local = ['--auth=trust', '--username=atrium', '--encoding=UTF8', '--locale=C', '--no-sync'];
    await this.run('initdb', [`--pgdata=${this.at(data)}`, ...local]);
  }

  async start(data: string, settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const port = await freePort();
    const all = {
      port: String(port),
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      fsync: 'off',
      shared_buffers: '32MB',
      dynamic_shared_memory_type: 'mmap',
      ...settings,
    };
    const flags = Object.entries(all).map(([name, value]) => `-c ${name}='${value}'`);
    const log = join(this.folder, `${data}.log`);
    await this.run('pg_ctl', ['start', '-D', this.at(data), '-w', '-s', '-l', log, '-o', flags.join(' ')]);
    this.ports.set(data, port);
    await until('it is open for writing', async () => {
      const [row] = await ask<{ recovering: boolean }>(
        this.url(data, 'postgres'),
        'SELECT pg_is_in_recovery() AS recovering',
      );
      return row && !row.recovering;
    });
  }

  async stop(data: string): Promise<void> {
    if (!this.ports.delete(data)) return;
    await this.run('pg_ctl', ['stop', '-D', this.at(data), '-w', '-s', '-m', 'fast']);
  }

  /** Stops all of them, and removes what there is. */
  async remove(): Promise<void> {
    for (const data of [...this.ports.keys()]) await this.stop(data);
    await rm(join(this.folder, '..'), { recursive: true, force: true });
    await rm(this.home.folder, { recursive: true, force: true });
  }

  /** A path in the folder that the account owns. */
  at(name: string): string {
    return join(this.folder, name);
  }

  url(data: string, database = 'atrium'): string {
    return `postgresql://atrium@127.0.0.1:${this.ports.get(data)}/${database}?sslmode=disable`;
  }
}
