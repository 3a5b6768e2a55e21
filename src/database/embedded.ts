import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { SESSION_OPTIONS } from './session-options.js';
import { type Binaries, locateBinaries } from './embedded-binaries.js';
import { isConnectionLoss } from './errors.js';
import { EmbeddedServerError, type Home, prepareHome, removeHome } from './embedded-home.js';
import {
  EMBEDDED_DATABASE,
  EMBEDDED_USER,
  ensureCluster,
  findServer,
  isPortTaken,
  readPassword,
  startServer,
  stopServer,
} from './embedded-server.js';

export { EmbeddedServerError } from './embedded-home.js';

/** How to run the embedded server. */
export interface EmbeddedOptions {
  /** Absolute path; the server's data goes to `<dataDir>/postgres`. */
  readonly dataDir: string;
  /** Is told, in one line each, what a person at the terminal should know. */
  readonly log: (line: string) => void;
  /** Settings of PostgreSQL to change; what is lost with them is the caller's to know. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A running embedded server. */
export interface EmbeddedServer {
  /** Of the database `atrium`, whose owner is a superuser. Stays the same until `stop`. */
  readonly url: string;
  /** Leaves the server; stops it if no other process uses it. Safe to call twice. */
  stop(): Promise<void>;
}

/** How long to try to reach a server that has to be started, recovered or waited for. */
const REACH_LIMIT_MS = 60_000;
const START_ATTEMPTS = 6;
/** Held, shared, by every process that uses the server; in the database that is never dropped. */
const USERS_LOCK = '7201077001';

/**
 * Starts the PostgreSQL that comes with Atrium, or joins the one that runs on this data already: another process's,
 * or one that outlived the process that started it. Whoever leaves last stops it: each holds a shared advisory lock
 * on a session of its own, which the server takes back from a process that dies, and who gets it alone is the last.
 * Should the server die, it is started again on the same port.
 * @throws {EmbeddedServerError} with the mend, or with the server's log; no server is left running then
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const home = await prepareHome(options.dataDir, options.log);
  const binaries = await locateBinaries(home);
  await ensureCluster(home, binaries, { sync: options.settings?.fsync !== 'off' });
  const user = new ServerUser(home, binaries, options, await readPassword(home));
  const port = await user.join();
  try {
    await user.ensureDatabase();
  } catch (error) {
    await user.leave();
    throw error;
  }
  return { url: user.url(port), stop: () => user.leave() };
}

/**
 * Deletes an embedded server's data for good, wherever it is kept. A server that was left running is stopped first;
 * one that a process uses is left alone. Answers with whether the data is gone.
 */
export async function removeEmbedded(dataDir: string): Promise<boolean> {
  const log = () => undefined;
  const home = await prepareHome(dataDir, log);
  if (await findServer(home)) {
    const user = new ServerUser(home, await locateBinaries(home), { dataDir, log }, await readPassword(home));
    await user.join();
    await user.leave();
    if (await findServer(home)) return false;
  }
  await removeHome(dataDir);
  return true;
}

/** This process's share in the server. */
class ServerUser {
  private presence: Client | undefined;
  private port: number | undefined;
  private leaving: Promise<void> | undefined;
  private reviving: Promise<void> = Promise.resolve();

  constructor(
    private readonly home: Home,
    private readonly binaries: Binaries,
    private readonly options: EmbeddedOptions,
    private readonly password: string,
  ) {}

  url(port: number): string {
    // sslmode, so that a PGSSLMODE meant for another server does not reach this one.
    return `postgresql://${EMBEDDED_USER}:${this.password}@127.0.0.1:${port}/${EMBEDDED_DATABASE}?sslmode=disable`;
  }

  /** Finds or starts the server and registers with it. Answers with its port. */
  async join(): Promise<number> {
    const deadline = performance.now() + REACH_LIMIT_MS;
    let attempts = 0;
    let portTaken = false;
    let failure: unknown;
    while (performance.now() < deadline) {
      try {
        const server = await findServer(this.home);
        if (server?.ready) {
          await this.register(server.port);
          this.port = server.port;
          return server.port;
        }
        if (!server) {
          if (attempts === START_ATTEMPTS) break;
          attempts++;
          const port = portTaken ? undefined : this.port;
          await startServer(this.home, this.binaries, { port, settings: this.options.settings ?? {} });
          continue;
        }
      } catch (error) {
        failure = error;
        portTaken = isPortTaken(error);
      }
      // After a crash the old sessions may need a moment to end, and a stopping server to stop.
      await delay(100 + 100 * attempts);
    }
    if (attempts > 0) await stopServer(this.home, this.binaries).catch(() => undefined);
    throw new EmbeddedServerError(
      failure instanceof Error
        ? failure.message
        : `The embedded PostgreSQL in ${this.home.data} does not answer`,
      { cause: failure },
    );
  }

  private async register(port: number): Promise<void> {
    const client = this.client(port);
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ folder: string }>(
        `SELECT current_setting('data_directory') AS folder`,
      );
      if (rows[0]?.folder !== this.home.data)
        throw new EmbeddedServerError(`Another server listens on port ${port}`);
      // Waits while the last user stops the server; the connection breaks then, and the server is started anew.
      await client.query('SELECT pg_advisory_lock_shared($1)', [USERS_LOCK]);
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
    this.presence = client;
    client.on('end', () => {
      if (this.presence === client && !this.leaving) this.reviving = this.revive();
    });
  }

  private async revive(): Promise<void> {
    this.presence = undefined;
    const before = this.port;
    this.options.log('The embedded PostgreSQL went away; starting it again');
    try {
      if ((await this.join()) !== before)
        this.options.log('The embedded PostgreSQL is back on another port: restart Atrium');
    } catch (error) {
      this.options.log(
        `The embedded PostgreSQL is gone: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  async ensureDatabase(): Promise<void> {
    const { presence } = this;
    if (!presence) throw new EmbeddedServerError('The embedded PostgreSQL went away while it started');
    const { rowCount } = await presence.query('SELECT 1 FROM pg_database WHERE datname = $1', [
      EMBEDDED_DATABASE,
    ]);
    if (rowCount !== 0) return;
    const create = `CREATE DATABASE ${EMBEDDED_DATABASE}`;
    await presence.query(create).catch(async (error: unknown) => {
      // Another process that starts at the same moment may have made it.
      const again = await presence.query('SELECT 1 FROM pg_database WHERE datname = $1', [EMBEDDED_DATABASE]);
      if (again.rowCount === 0) throw error;
    });
  }

  leave(): Promise<void> {
    return (this.leaving ??= this.leaveOnce());
  }

  private async leaveOnce(): Promise<void> {
    await this.reviving;
    try {
      await this.signOff();
    } catch (error) {
      // The session broke just now: somebody stops the server, or, if it still runs, it must not be left behind.
      if (!isConnectionLoss(error)) throw error;
      const deadline = performance.now() + REACH_LIMIT_MS;
      let server = await findServer(this.home);
      while (server && !server.ready && performance.now() < deadline) {
        await delay(50);
        server = await findServer(this.home);
      }
      if (!server) return;
      await this.join();
      await this.signOff();
    }
  }

  private async signOff(): Promise<void> {
    const { presence } = this;
    if (!presence) return;
    try {
      await presence.query('SELECT pg_advisory_unlock_shared($1)', [USERS_LOCK]);
      const { rows } = await presence.query<{ last: boolean }>('SELECT pg_try_advisory_lock($1) AS last', [
        USERS_LOCK,
      ]);
      if (rows[0]?.last) await stopServer(this.home, this.binaries);
    } finally {
      await presence.end().catch(() => undefined);
    }
  }

  private client(port: number): Client {
    return new Client({
      host: '127.0.0.1',
      port,
      user: EMBEDDED_USER,
      password: this.password,
      database: 'postgres',
      ssl: false,
      application_name: 'atrium presence',
      options: SESSION_OPTIONS,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
    });
  }
}
