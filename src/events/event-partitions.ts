import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { isLockTimeout, isMissingTable, isRetryable } from '../database/errors.js';
import { EventArchives } from './event-archives.js';
import { DAY_MS, type Span } from './partition-plan.js';

/** A partition of the events. */
export interface Partition extends Span {
  readonly name: string;
}

/** Where events are that no partition was made for. Nothing fails for want of one. */
const DEFAULT = 'events_default';
/** Held, for one transaction, by the one that changes partitions. */
const PARTITION_LOCK = '7201077003';
/** Whoever writes or reads waits behind a lock that is asked for: so each attempt is short, and there are some. */
const LOCK_TIMEOUT = '250ms';
const ATTEMPTS = 20;
const BACKOFF_MS = 200;
/** Counters that are raised in one statement, since their writers wait for it. */
const BATCH = 500;
/** No transaction that began before a partition's end is still open so long after it. */
const SETTLED_MS = DAY_MS / 24;

const LIST = `SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass`;

/** Notes what is kept of the streams that have events of before `$2` in a table, in order, which others keep to. */
const raise = (table: string): string => `
  WITH due AS (
    SELECT stream_id, max(seq) + 1 AS min_seq FROM ${table}
    WHERE ($1::uuid IS NULL OR stream_id > $1) AND "time" < $2
    GROUP BY stream_id ORDER BY stream_id LIMIT ${BATCH}
  ), locked AS MATERIALIZED (
    SELECT s.id, d.min_seq FROM streams s JOIN due d ON d.stream_id = s.id WHERE s.min_seq < d.min_seq
    ORDER BY s.id FOR NO KEY UPDATE OF s
  ), raised AS (
    UPDATE streams s SET min_seq = l.min_seq FROM locked l WHERE s.id = l.id AND s.min_seq < l.min_seq
  )
  SELECT stream_id FROM due ORDER BY stream_id DESC LIMIT 1`;

/**
 * The partitions of the events. What is to be dropped is noted in `streams.min_seq` before, in a transaction of its
 * own, so whoever reads finds either the events or the note; what features keep of it is copied before that. Names and bounds are made here, of numbers.
 */
@Injectable()
export class EventPartitions {
  constructor(
    private readonly dataSource: DataSource,
    private readonly archives: EventArchives,
  ) {}

  /** All but the default one. */
  async list(): Promise<Partition[]> {
    const rows = await this.dataSource.query<{ name: string; bounds: string }[]>(LIST);
    return rows.flatMap(({ name, bounds }) => {
      const [, from, to] = /FROM \((?:MINVALUE|'([^']+)')\) TO \('([^']+)'\)/.exec(bounds) ?? [];
      return to === undefined
        ? []
        : [{ name, from: from === undefined ? -Infinity : timeOf(from), to: timeOf(to) }];
    });
  }

  /**
   * Makes a partition, with what has come into the default one meanwhile. It is built aside and then attached:
   * writers of other partitions wait for nothing.
   * @returns false if somebody else is at it
   */
  async create({ from, to }: Span): Promise<boolean> {
    const [first, last] = [new Date(from).toISOString(), new Date(to).toISOString()];
    const name = `events_${first.slice(0, 10).replaceAll('-', '')}`;
    return this.exclusively(async (manager) => {
      const [{ found }] = await manager.query<[{ found: string | null }]>('SELECT to_regclass($1) AS found', [
        name,
      ]);
      if (found !== null) return;
      const lock = `LOCK TABLE ${DEFAULT} IN ACCESS EXCLUSIVE MODE`;
      await manager.query(lock);
      const make = `CREATE TABLE ${name} (LIKE events INCLUDING DEFAULTS INCLUDING STORAGE)`;
      await manager.query(make);
      const move = `WITH moved AS (DELETE FROM ${DEFAULT} WHERE "time" >= $1 AND "time" < $2 RETURNING *)
        INSERT INTO ${name} SELECT * FROM moved`;
      await manager.query(move, [first, last]);
      const attach = `ALTER TABLE events ATTACH PARTITION ${name} FOR VALUES FROM ('${first}') TO ('${last}')`;
      await manager.query(attach);
    });
  }

  /**
   * Drops a partition, whole.
   * @returns false if somebody else is at it
   */
  async drop({ name, to }: Partition): Promise<boolean> {
    const until = new Date(to).toISOString();
    const [{ settled }] = await this.dataSource.query<[{ settled: boolean }]>(
      `SELECT now() > $1::timestamptz + $2 * interval '1 ms' AS settled`,
      [until, SETTLED_MS],
    );
    try {
      await this.archives.copy(name, until);
      await raiseAll(this.dataSource.manager, name, until);
    } catch (error) {
      if (isMissingTable(error)) return false;
      throw error;
    }
    return this.exclusively(async (manager) => {
      if (!settled) await this.archives.lock(manager);
      await manager.query('LOCK TABLE events IN ACCESS EXCLUSIVE MODE');
      // By the database's clock it was perhaps being written to: then what has come since is kept and noted, too.
      if (!settled) await this.keepRest(manager, name, until);
      const drop = `DROP TABLE IF EXISTS ${name}`;
      await manager.query(drop);
    });
  }

  /** Removes what is older than `cutoff` (ms) from the default partition, where as a rule there is nothing. */
  async trimDefault(cutoff: number): Promise<boolean> {
    const until = new Date(cutoff).toISOString();
    const ask = `SELECT EXISTS (SELECT FROM ${DEFAULT} WHERE "time" < $1) AS old`;
    const [{ old }] = await this.dataSource.query<[{ old: boolean }]>(ask, [until]);
    if (!old) return true;
    await this.archives.copy(DEFAULT, until);
    await raiseAll(this.dataSource.manager, DEFAULT, until);
    return this.exclusively(async (manager) => {
      await this.archives.lock(manager);
      await manager.query('LOCK TABLE events IN ACCESS EXCLUSIVE MODE');
      await this.keepRest(manager, DEFAULT, until);
      const trim = `DELETE FROM ${DEFAULT} WHERE "time" < $1`;
      await manager.query(trim, [until]);
    });
  }

  private async keepRest(manager: EntityManager, table: string, until: string): Promise<void> {
    await this.archives.copyWithin(manager, table, until);
    await raiseAll(manager, table, until);
  }

  /** Runs work in one transaction that nobody else's work overlaps; again when it would have to wait for locks. */
  private async exclusively(work: (manager: EntityManager) => Promise<void>): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.dataSource.transaction(async (manager) => {
          const limit = `SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`;
          await manager.query(limit);
          const [{ got }] = await manager.query<[{ got: boolean }]>(
            'SELECT pg_try_advisory_xact_lock($1) AS got',
            [PARTITION_LOCK],
          );
          if (got) await work(manager);
          return got;
        });
      } catch (error) {
        if (attempt === ATTEMPTS || !(isLockTimeout(error) || isRetryable(error))) throw error;
        await delay(Math.random() * BACKOFF_MS * Math.min(attempt, 5));
      }
    }
  }
}

async function raiseAll(manager: EntityManager, table: string, until: string): Promise<void> {
  let last: string | null | undefined = null;
  while (last !== undefined) {
    const rows: { stream_id: string }[] = await manager.query(raise(table), [last, until]);
    last = rows[0]?.stream_id;
  }
}

/** PostgreSQL's text of a time, in UTC. */
const timeOf = (text: string): number =>
  Date.parse(`${text.slice(0, 10)}T${text.slice(11).replace(/\+00$/, 'Z')}`);
