import { setTimeout as delay } from 'node:timers/promises';
import pRetry from 'p-retry';
import { type DataSource, MigrationExecutor, type MigrationInterface, type QueryRunner } from 'typeorm';
import { isLockTimeout, isRetryable } from './errors.js';
import type { DatabaseAddress } from './sessions.js';

/** A migration of this build or of the database's history. */
export interface MigrationRecord {
  readonly name: string;
  /** `undefined`: still pending. */
  readonly appliedAt: Date | undefined;
  /** False when the database has it and this build does not: a newer build has been here. */
  readonly known: boolean;
}

/** Held by the one session that changes the schema. */
const MIGRATION_LOCK = '7201077002';
const LOCK_POLL_MS = 100;
/** How long to wait for another process's migrations. */
const LOCK_LIMIT_MS = 10 * 60_000;
const PENDING_POLL_MS = 500;
/**
 * How long a statement of a migration waits for a lock. Requests for the same table wait behind it, so it gives up soon,
 * lets them pass, and tries again, for some five minutes in all. Before PostgreSQL looks for deadlocks, which it does
 * after a second, and of which it might make a request the victim.
 */
const LOCK_WAIT_MS = 500;
/** Within a transaction: behind a pooler, a session's own limits are those of somebody else. */
const BOUNDS = `SET LOCAL lock_timeout = ${LOCK_WAIT_MS}; SET LOCAL statement_timeout = 0;
  SET LOCAL idle_in_transaction_session_timeout = 0`;
const RETRIES = { retries: 40, minTimeout: 500, maxTimeout: 8_000, factor: 1.5, randomize: true };

/** How the database is reached; see {@link import('./sessions.js').DatabaseAddress}. */
type Way = Pick<DatabaseAddress, 'pooled'>;

/** What is done under the migration lock. @param stillLocked throws when it was lost: then the next step is not taken */
type LockedWork<T> = (runner: QueryRunner, stillLocked: () => Promise<void>) => Promise<T>;

/** TypeORM's own table, with the time added; TypeORM creates it without only when it is missing. */
const HISTORY_TABLE = [
  `CREATE TABLE IF NOT EXISTS migrations (
     id serial CONSTRAINT migrations_pkey PRIMARY KEY, "timestamp" bigint NOT NULL, name varchar NOT NULL)`,
  `ALTER TABLE migrations ADD COLUMN IF NOT EXISTS applied_at timestamptz NOT NULL DEFAULT now()`,
];

/**
 * Applies the pending migrations, oldest first, each in a transaction of its own, or in none if it says
 * `transaction = false`. Processes that start at once take turns: the first applies, the others find nothing left to
 * do. One that does not get its locks within half a second, or is sacrificed to a deadlock, is taken back and tried again.
 * Answers with the names of those it applied.
 * @throws whatever a migration throws, or that the lock was lost; those before it stay applied
 */
export async function migrate(dataSource: DataSource, way: Way = {}): Promise<string[]> {
  return locked(dataSource, way, async (runner, stillLocked) => {
    for (const statement of HISTORY_TABLE) await runner.query(statement);
    const executor = new MigrationExecutor(dataSource, runner);
    const pending = await executor.getPendingMigrations();
    for (const migration of pending)
      await inTransaction(runner, migration.instance, stillLocked, () =>
        executor.executeMigration(migration),
      );
    return pending.map(({ name }) => name);
  });
}

/** Reverts the migration applied last. Answers with its name, or `undefined` if there is none. */
export async function revert(dataSource: DataSource, way: Way = {}): Promise<string | undefined> {
  return locked(dataSource, way, async (runner, stillLocked) => {
    const last = (await applied(dataSource, runner)).at(-1);
    if (last === undefined) return undefined;
    const executor = new MigrationExecutor(dataSource, runner);
    executor.transaction = 'none';
    const migration = dataSource.migrations.find((each) => nameOf(each) === last.name);
    await inTransaction(runner, migration, stillLocked, () => executor.undoLastMigration());
    return last.name;
  });
}

/**
 * Does what a migration asks for in a transaction, again when it did not get its locks; in none if it wants none. Who
 * builds an index concurrently waits for others, and holds up nobody.
 */
async function inTransaction(
  runner: QueryRunner,
  migration: MigrationInterface | undefined,
  stillLocked: () => Promise<void>,
  work: () => Promise<unknown>,
): Promise<void> {
  await stillLocked();
  if (migration?.transaction === false) {
    await work();
    return;
  }
  await retried(async () => {
    await runner.startTransaction();
    try {
      await runner.query(BOUNDS);
      await work();
      // Whoever has it now does the same.
      await stillLocked();
      await runner.commitTransaction();
    } catch (error) {
      await rollBack(runner);
      throw error;
    }
  });
}

/** Fails only on a broken connection, which has rolled back by itself. */
const rollBack = (runner: QueryRunner): Promise<void> => runner.rollbackTransaction().catch(() => undefined);

/** Does it again when a lock was not to be had in time, or when it was sacrificed to a deadlock. */
const retried = <T>(attempt: () => Promise<T>): Promise<T> =>
  pRetry(attempt, { ...RETRIES, shouldRetry: ({ error }) => isLockTimeout(error) || isRetryable(error) });

const nameOf = (migration: MigrationInterface): string => migration.name ?? migration.constructor.name;

/** The migrations of this build that the database does not have yet, oldest first. */
export async function pendingMigrations(dataSource: DataSource): Promise<string[]> {
  const done = new Set((await applied(dataSource)).map(({ name }) => name));
  return ownNames(dataSource).filter((name) => !done.has(name));
}

/**
 * Waits until somebody else has applied every migration of this build.
 * @param log is told once, if there is something to wait for
 * @throws after ten minutes
 */
export async function untilMigrated(dataSource: DataSource, log: (line: string) => void): Promise<void> {
  const deadline = performance.now() + LOCK_LIMIT_MS;
  let pending = await pendingMigrations(dataSource);
  if (pending.length > 0)
    log(`Waiting until ${pending.length} migrations have been applied (MIGRATE_AT_START=off)`);
  while (pending.length > 0) {
    if (performance.now() > deadline)
      throw new Error(
        `${pending.length} migrations have not been applied for ten minutes: npm run migration:run`,
      );
    await delay(PENDING_POLL_MS);
    pending = await pendingMigrations(dataSource);
  }
}

/** What was applied, in that order, then what is pending. */
export async function migrationHistory(dataSource: DataSource): Promise<MigrationRecord[]> {
  const own = ownNames(dataSource);
  const done = await applied(dataSource);
  const doneNames = new Set(done.map(({ name }) => name));
  return [
    ...done.map(({ name, appliedAt }) => ({ name, appliedAt, known: own.includes(name) })),
    ...own
      .filter((name) => !doneNames.has(name))
      .map((name) => ({ name, appliedAt: undefined, known: true })),
  ];
}

/** The migration applied last. */
export async function currentMigration(dataSource: DataSource): Promise<MigrationRecord | undefined> {
  return (await migrationHistory(dataSource)).findLast(({ appliedAt }) => appliedAt !== undefined);
}

/** Oldest first: a migration's name ends in the milliseconds of its creation. */
function ownNames(dataSource: DataSource): string[] {
  return dataSource.migrations.map(nameOf).toSorted((a, b) => Number(a.slice(-13)) - Number(b.slice(-13)));
}

async function applied(
  dataSource: DataSource,
  runner?: QueryRunner,
): Promise<{ name: string; appliedAt: Date }[]> {
  const [table] = await dataSource.query<[{ found: string | null }]>(
    `SELECT to_regclass('migrations') AS found`,
    [],
    runner,
  );
  if (table.found === null) return [];
  return dataSource.query(
    // Read as JSON: a table that TypeORM's own command line made has no time.
    `SELECT name, coalesce((to_jsonb(m) ->> 'applied_at')::timestamptz, to_timestamp("timestamp" / 1000)) AS "appliedAt"
     FROM migrations m ORDER BY id`,
    [],
    runner,
  );
}

/** Runs `work` on one session that holds the migration lock, without the limits that a request's statement has. */
async function locked<T>(dataSource: DataSource, { pooled }: Way, work: LockedWork<T>): Promise<T> {
  const runner = dataSource.createQueryRunner();
  try {
    await runner.connect();
    if (pooled) return await besideLock(dataSource, runner, work);
    await lock(dataSource, runner, `SELECT pg_try_advisory_lock($1) AS got`);
    try {
      await runner.query(`SET statement_timeout = 0; SET lock_timeout = 0;
        SET idle_in_transaction_session_timeout = 0`);
      // Without the connection there is no next step either.
      return await work(runner, () => Promise.resolve());
    } finally {
      // Fails only on a broken connection, which has lost its settings and the lock by itself.
      const reset = `RESET statement_timeout; RESET lock_timeout; RESET idle_in_transaction_session_timeout`;
      await runner.query(reset).catch(() => undefined);
      await runner.query(`SELECT pg_advisory_unlock($1)`, [MIGRATION_LOCK]).catch(() => undefined);
    }
  } finally {
    await runner.release();
  }
}

/**
 * The same where a session lasts for a transaction only: one that does nothing else holds the lock meanwhile. It reads
 * nothing, so it has no snapshot for which an index that is built concurrently would wait.
 */
async function besideLock<T>(dataSource: DataSource, holder: QueryRunner, work: LockedWork<T>): Promise<T> {
  const worker = dataSource.createQueryRunner();
  // Fails outside of the transaction, too, with which the lock has gone. Needs no snapshot either.
  const stillLocked = async (): Promise<void> => {
    try {
      await holder.query('SAVEPOINT still_locked; RELEASE SAVEPOINT still_locked');
    } catch (error) {
      throw new Error('The connection that held the lock of migrations broke: start again', { cause: error });
    }
  };
  try {
    await untilLocked(async () => {
      // Whoever waits keeps no connection of the pooler's from whoever works.
      await holder.startTransaction();
      const [row] = await dataSource.query<[{ got: boolean }]>(
        `SELECT pg_try_advisory_xact_lock($1) AS got`,
        [MIGRATION_LOCK],
        holder,
      );
      if (!row.got) await holder.rollbackTransaction();
      return row.got;
    });
    await holder.query(BOUNDS);
    await worker.connect();
    return await work(worker, stillLocked);
  } finally {
    if (holder.isTransactionActive) await rollBack(holder);
    await worker.release();
  }
}

/**
 * Asks again and again instead of waiting inside of one statement: that would hold a snapshot, and the other
 * process's CREATE INDEX CONCURRENTLY would wait for it, and both for ever.
 */
async function lock(dataSource: DataSource, runner: QueryRunner, sql: string): Promise<void> {
  await untilLocked(async () => {
    const [row] = await dataSource.query<[{ got: boolean }]>(sql, [MIGRATION_LOCK], runner);
    return row.got;
  });
}

async function untilLocked(attempt: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LOCK_LIMIT_MS;
  while (performance.now() < deadline) {
    if (await attempt()) return;
    await delay(LOCK_POLL_MS);
  }
  throw new Error('Another process has been applying migrations for ten minutes: see what it is doing');
}
