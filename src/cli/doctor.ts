import { createTransport } from 'nodemailer';
import pg from 'pg';
import type { DataSource } from 'typeorm';
import { reasonOf } from '../common/reason.js';
import type { AtriumConfig } from '../config/config.js';
import { CONNECT_TIMEOUT_MS } from '../database/session-options.js';
import { pendingMigrations } from '../database/migrator.js';
import { failed, type Finding, type Judged, ok, warning } from './finding.js';
import { checkPooler } from './pooler-check.js';
import { checkReplica } from './replica-check.js';
import { checkArchiving, checkSlots } from './write-ahead-log-checks.js';

/** Of the clocks of this machine and of the database. */
const MOST_SKEW_MS = 2_000;
/** A transaction that has been open for longer keeps PostgreSQL from tidying up. */
const LONG_TRANSACTION_SECONDS = 300;
/** What stays free for administrators and other tools. */
const SPARE_CONNECTIONS = 5;
/** Beside the pool, each instance has one that listens and those of its statements, lists and snapshots. */
const OWN_CONNECTIONS = 12;
const OLDEST_MAJOR = 15;
const PATIENCE_MS = 5_000;

/** Looks at what an instance needs, as it is now, and changes nothing. */
export class Doctor {
  constructor(
    private readonly database: DataSource,
    private readonly url: string,
    private readonly config: AtriumConfig,
  ) {}

  /** Every check, each by itself: one that fails says so and does not hide the others. */
  async examine(): Promise<Finding[]> {
    const checks: Readonly<Record<string, () => Promise<Judged>>> = {
      version: () => this.version(),
      migrations: () => this.migrations(),
      durability: () => this.durability(),
      clock: () => this.clock(),
      connections: () => this.connections(),
      pooler: () => checkPooler(this.url, this.config),
      replica: () => checkReplica(this.database, this.config.database),
      listening: () => this.listening(),
      'long transactions': () => this.longTransactions(),
      'replication slots': () => checkSlots(this.database),
      archiving: () => checkArchiving(this.database),
      'failed jobs': () => this.failedJobs(),
      redis: () => this.redis(),
      mail: () => this.mail(),
    };
    const examined = Object.entries(checks).map(async ([check, look]): Promise<Finding> => {
      const judged = await look().catch((error: unknown) => failed(reasonOf(error)));
      return { check, ...judged };
    });
    return Promise.all(examined);
  }

  private async version(): Promise<Judged> {
    const [{ number }] = await this.ask<{ number: string }>(
      `SELECT current_setting('server_version_num') AS number`,
    );
    const major = Math.floor(Number(number) / 10_000);
    return major >= OLDEST_MAJOR
      ? ok(`PostgreSQL ${major}`)
      : failed(`PostgreSQL ${major} is too old: ${OLDEST_MAJOR} or newer`);
  }

  private async migrations(): Promise<Judged> {
    const { length } = await pendingMigrations(this.database);
    return length === 0 ? ok('all applied') : failed(`${length} pending: npm run migration:run`);
  }

  /** What was answered must be on disk. */
  private async durability(): Promise<Judged> {
    const off = await this.ask<{ name: string }>(
      `SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes') AND setting = 'off'
       ORDER BY name`,
    );
    return off.length === 0
      ? ok('commits are on disk before they are answered')
      : failed(`${off.map(({ name }) => name).join(', ')} off: acknowledged writes can be lost; turn on`);
  }

  private async clock(): Promise<Judged> {
    const asked = Date.now();
    const [{ now }] = await this.ask<{ now: Date }>('SELECT clock_timestamp() AS now');
    // The answer's time lies somewhere between the question and now.
    const skew = Math.max(asked - now.getTime(), now.getTime() - Date.now(), 0);
    return skew <= MOST_SKEW_MS
      ? ok('agrees with the database')
      : warning(`${skew} ms off the database's clock: tokens seem older or younger than they are; use NTP`);
  }

  private async connections(): Promise<Judged> {
    const [{ most, used }] = await this.ask<{ most: number; used: number }>(
      `SELECT current_setting('max_connections')::int AS most, (SELECT count(*)::int FROM pg_stat_activity
         WHERE backend_type = 'client backend') AS used`,
    );
    const each = this.config.database.poolSize + OWN_CONNECTIONS;
    const text = `${used} of ${most} in use, up to ${each} for each instance`;
    return most - used >= SPARE_CONNECTIONS && most - SPARE_CONNECTIONS >= each
      ? ok(text)
      : warning(`${text}: raise max_connections, or lower DATABASE_POOL_SIZE`);
  }

  /** A pooler in transaction mode takes LISTEN and then tells nothing. */
  private async listening(): Promise<Judged> {
    const { directUrl } = this.config.database;
    const client = new pg.Client({
      connectionString: directUrl ?? this.url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    });
    await client.connect();
    try {
      const heard = new Promise<Judged>((resolve) => {
        client.once('notification', () => resolve(ok('news arrive')));
        setTimeout(
          () => resolve(warning('nothing is heard: past a pooler, set DATABASE_DIRECT_URL')),
          PATIENCE_MS,
        ).unref();
      });
      await client.query('LISTEN atrium_doctor');
      await this.database.query('NOTIFY atrium_doctor');
      return await heard;
    } finally {
      await client.end();
    }
  }

  private async longTransactions(): Promise<Judged> {
    const rows = await this.ask<{ pid: number; seconds: number }>(
      `SELECT pid, extract(epoch FROM now() - xact_start)::int AS seconds FROM pg_stat_activity
       WHERE xact_start < now() - make_interval(secs => $1) AND backend_type = 'client backend'
       ORDER BY xact_start LIMIT 5`,
      [LONG_TRANSACTION_SECONDS],
    );
    return rows.length === 0
      ? ok('none')
      : warning(
          `${rows.map(({ pid, seconds }) => `process ${pid} for ${seconds} s`).join(', ')}: see pg_stat_activity`,
        );
  }

  private async failedJobs(): Promise<Judged> {
    const [{ count }] = await this.ask<{ count: number }>(
      `SELECT count(*)::int AS count FROM jobs.job WHERE state = 'failed'`,
    );
    return count === 0 ? ok('none') : warning(`${count}: npm run atrium -- queues failed`);
  }

  private async redis(): Promise<Judged> {
    const { redis } = this.config;
    if (!redis) return ok('not used');
    const { createClient } = await import('@redis/client');
    const socket = { connectTimeout: PATIENCE_MS, reconnectStrategy: false } as const;
    const client = createClient({ url: redis.urls[0], socket, commandOptions: { timeout: PATIENCE_MS } });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.ping();
      return ok('answers');
    } finally {
      client.destroy();
    }
  }

  private async mail(): Promise<Judged> {
    const { smtpUrl } = this.config.mail;
    if (smtpUrl === undefined) return warning('goes to a folder: set SMTP_URL to send it');
    const timeouts = { connectionTimeout: PATIENCE_MS, greetingTimeout: PATIENCE_MS };
    const transport = createTransport({ url: smtpUrl, ...timeouts });
    try {
      await transport.verify();
      return ok('the server takes us');
    } finally {
      transport.close();
    }
  }

  private ask<T>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    return this.database.query<T[]>(text, [...values]);
  }
}
