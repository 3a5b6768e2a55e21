import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import {
  DatabaseBusyError,
  DatabaseOverdueError,
  DatabaseUnavailableError,
  isLockTimeout,
  isUniqueViolation,
} from '../../src/database/errors.js';
import {
  type PipelineOptions,
  PipelinedStatements,
  type Statement,
} from '../../src/database/pipelined-statements.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ask, until } from '../support/database-embedded.js';

const ECHO: Statement = { name: 'test.echo', text: 'SELECT $1::int AS n, $2::text AS word' };
const INSERT: Statement = {
  name: 'test.insert',
  text: 'INSERT INTO numbers (n) VALUES ($1) RETURNING n, at',
};
const SLOW: Statement = { name: 'test.slow', text: 'SELECT pg_advisory_xact_lock_shared(1), 1 AS n' };
const ALL: Statement = { name: 'test.all', text: 'SELECT * FROM numbers ORDER BY n' };

describe('pipelined statements', () => {
  let database: TestDatabase;
  const open: PipelinedStatements[] = [];
  const holders: Client[] = [];

  beforeAll(async () => {
    database = await createTestDatabase({ empty: true });
    // What a server of one's own may be set to.
    const settings = `ALTER DATABASE "${new URL(database.url).pathname.slice(1)}" SET`;
    await ask(database.url, `${settings} TimeZone = 'Asia/Tokyo'; ${settings} DateStyle = 'SQL, DMY'`);
    await ask(
      database.url,
      `CREATE TABLE numbers (n int CONSTRAINT numbers_pkey PRIMARY KEY,
      at timestamptz NOT NULL DEFAULT '2026-01-02 03:04:05+09', tags text[])`,
    );
  });

  afterEach(async () => {
    await Promise.all(holders.splice(0).map((holder) => holder.end()));
    await Promise.all(open.splice(0).map((statements) => statements.close()));
    await ask(database.url, 'TRUNCATE numbers');
  });

  afterAll(() => database.drop());

  function create(options: Partial<PipelineOptions> = {}): PipelinedStatements {
    const statements = new PipelinedStatements({ url: database.url, statementTimeoutMs: 5_000, ...options });
    open.push(statements);
    return statements;
  }

  const terminate = () =>
    ask(
      database.url,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'atrium statements'`,
    );

  /** Holds the lock that SLOW waits for until it is told to let go. */
  async function holdUp(): Promise<{ release(): Promise<void>; isReached(): Promise<void> }> {
    const holder = new Client({ connectionString: database.url });
    holder.on('error', () => undefined);
    holders.push(holder);
    await holder.connect();
    await holder.query('SELECT pg_advisory_lock(1)');
    return {
      release: () => holder.end(),
      isReached: async () => {
        await until(async () => {
          const [row] = await ask<{ count: string }>(
            database.url,
            `SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
             WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()`,
          );
          return Number(row?.count) > 0;
        });
      },
    };
  }

  it('answer each of many with its own rows, sent over few connections', async () => {
    const statements = create({ connections: 2 });
    const answers = await Promise.all(
      Array.from({ length: 2_000 }, (_, n) => statements.run(ECHO, [n, n % 3 === 0 ? null : `word ${n}`])),
    );
    answers.forEach((rows, n) =>
      expect(rows).toEqual([{ n: String(n), word: n % 3 === 0 ? null : `word ${n}` }]),
    );
    const [row] = await ask<{ count: string }>(
      database.url,
      `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'atrium statements'`,
    );
    expect(Number(row?.count)).toBe(2);
  });

  it('answer in the order in which they were sent on one connection', async () => {
    const statements = create({ connections: 1 });
    const seen: number[] = [];
    await Promise.all(
      Array.from({ length: 300 }, (_, n) => statements.run(ECHO, [n, null]).then(() => seen.push(n))),
    );
    expect(seen).toEqual(Array.from({ length: 300 }, (_, n) => n));
  });

  it('give every column as PostgreSQL writes it, times in UTC', async () => {
    const statements = create();
    expect(await statements.run(INSERT, [7])).toEqual([{ n: '7', at: '2026-01-01 18:04:05+00' }]);
    const arrays: Statement = {
      name: 'test.arrays',
      text: 'SELECT $1::text[] AS words, $2::jsonb AS doc, $3::bool AS yes',
    };
    expect(await statements.run(arrays, [['a"b', null, 'c,d'], '{"b":1, "a":[1.50]}', true])).toEqual([
      { words: '{"a\\"b",NULL,"c,d"}', doc: '{"a": [1.50], "b": 1}', yes: 't' },
    ]);
  });

  it('leave the neighbours of a failing one alone, and pass its SQLSTATE on', async () => {
    const statements = create({ connections: 1 });
    const bad: Statement = { name: 'test.bad', text: 'SELECT nothing FROM nowhere' };
    const results = await Promise.allSettled([
      statements.run(INSERT, [1]),
      statements.run(INSERT, [1]),
      statements.run(bad),
      statements.run(bad),
      statements.run(INSERT, [2]),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    const [, duplicate, missing] = results as PromiseRejectedResult[];
    expect(isUniqueViolation(duplicate.reason)).toBe(true);
    expect(isUniqueViolation(duplicate.reason, 'numbers_pkey')).toBe(true);
    expect(isUniqueViolation(duplicate.reason, 'another')).toBe(false);
    expect(missing.reason).toMatchObject({ code: '42P01' });
    expect(await statements.run(ALL)).toHaveLength(2);
  });

  it('recover by themselves when their connections are cut, telling who was under way', async () => {
    const statements = create({ connections: 1 });
    const lock = await holdUp();
    const cut = Promise.allSettled([
      statements.run(SLOW),
      statements.run(SLOW),
      statements.run(ECHO, [1, null]),
    ]);
    await lock.isReached();
    await terminate();
    for (const result of await cut) {
      expect(result.status).toBe('rejected');
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(DatabaseUnavailableError);
    }
    await lock.release();
    expect(await statements.run(ECHO, [2, null])).toEqual([{ n: '2', word: null }]);
    await terminate();
    expect(await until(() => statements.run(ECHO, [3, null]))).toEqual([{ n: '3', word: null }]);
  });

  it('refuse to let more wait than their bound, and take more again when it is undershot', async () => {
    const statements = create({ connections: 1, maxWaiting: 3 });
    const lock = await holdUp();
    const waiting = [statements.run(SLOW), statements.run(ECHO, [1, null]), statements.run(ECHO, [2, null])];
    await expect(statements.run(ECHO, [3, null])).rejects.toBeInstanceOf(DatabaseBusyError);
    expect(statements.waiting).toBe(3);
    await lock.release();
    await Promise.all(waiting);
    expect(statements.waiting).toBe(0);
    expect(await statements.run(ECHO, [4, null])).toHaveLength(1);
  });

  it('tell whoever stands behind many that wait for a lock, and go on when it is gone', async () => {
    const statements = create({ connections: 1, statementTimeoutMs: 1_000 });
    await statements.run(ALL);
    const holder = new Client({ connectionString: database.url });
    holders.push(holder);
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query('LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE');
    const settled = await Promise.allSettled(Array.from({ length: 40 }, () => statements.run(ALL)));
    const reasons = settled.map((result) => (result as PromiseRejectedResult).reason as unknown);
    expect(isLockTimeout(reasons[0])).toBe(true);
    expect(reasons.at(-1)).toBeInstanceOf(DatabaseOverdueError);
    await holder.query('COMMIT');
    expect(await until(() => statements.run(ALL).catch(() => false as const))).toEqual([]);
  });

  it('give reads up, and refuse further ones, while nothing is answered on any connection, and wait for writes', async () => {
    const statements = create({ connections: 1, statementTimeoutMs: 30_000 });
    const holder = new Client({ connectionString: database.url });
    holders.push(holder);
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query('LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE');
    const write = statements.run(INSERT, [1]);
    const read = statements.run(ALL);
    await expect(read).rejects.toBeInstanceOf(DatabaseOverdueError);
    await expect(statements.run(ALL)).rejects.toBeInstanceOf(DatabaseBusyError);
    await holder.query('COMMIT');
    expect(await write).toHaveLength(1);
    expect(await until(() => statements.run(ALL).catch(() => false as const))).toHaveLength(1);
  });

  it('send a prepared statement again when a migration changed the table under it', async () => {
    const statements = create({ connections: 1 });
    await statements.run(INSERT, [1]);
    expect(await statements.run(ALL)).toHaveLength(1);
    await ask(database.url, 'ALTER TABLE numbers ADD COLUMN more int');
    expect(await statements.run(ALL)).toEqual([expect.objectContaining({ n: '1', more: null })]);
  });

  it('give up on a statement that takes longer than its limit, and go on', async () => {
    const statements = create({ connections: 1, statementTimeoutMs: 200 });
    const slow: Statement = { name: 'test.sleep', text: 'SELECT pg_sleep(60)' };
    const [late, next] = await Promise.allSettled([statements.run(slow), statements.run(ECHO, [1, null])]);
    expect(late).toMatchObject({ status: 'rejected', reason: { code: '57014' } });
    expect(next.status).toBe('fulfilled');
  });

  it('answer those under way before they close, and refuse new ones', async () => {
    const statements = create();
    const lock = await holdUp();
    const last = statements.run<{ n: string }>(SLOW);
    await lock.isReached();
    const closed = statements.onApplicationShutdown();
    await expect(statements.run(ECHO, [1, null])).rejects.toBeInstanceOf(DatabaseUnavailableError);
    await lock.release();
    expect((await last)[0]?.n).toBe('1');
    await closed;
  });

  describe('without a database', () => {
    let server: Server;
    let url: string;
    const sockets = new Set<Socket>();

    beforeAll(async () => {
      // Accepts and closes, as a proxy does whose database is away.
      server = createServer((socket) => {
        sockets.add(socket);
        socket.destroy();
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      url = `postgresql://a:b@127.0.0.1:${typeof address === 'object' ? address!.port : 0}/c?sslmode=disable`;
    });

    afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())));

    it('fail at once, again and again, without a connection attempt for each', async () => {
      const statements = create({ url });
      for (let n = 0; n < 200; n++)
        await expect(statements.run(ECHO, [n, null])).rejects.toBeInstanceOf(DatabaseUnavailableError);
      expect(sockets.size).toBeLessThan(30);
      expect(statements.waiting).toBe(0);
    });
  });
});
