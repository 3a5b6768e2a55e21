import type { Client } from 'pg';
import type { AtriumConfig } from '../config/config.js';
import { CONNECT_TIMEOUT_MS } from '../database/session-options.js';
import { boundsOf, newClient, sessionConfig } from '../database/sessions.js';
import { failed, type Judged, ok, warning } from './finding.js';

const PROBE = 'atrium_doctor';

/** Whether a pooler stands before the database, and whether it is used as what it is. */
export async function checkPooler(url: string, { database }: AtriumConfig): Promise<Judged> {
  const { pooled, named, statementTimeoutMs } = database;
  const client = newClient({
    ...sessionConfig({ url, pooled }, boundsOf('atrium', statementTimeoutMs)),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  await client.connect();
  try {
    if (!(await isLent(client)))
      return pooled ? warning('there is none: set DATABASE_POOLER to off') : ok('there is none');
    if (!pooled)
      return warning(
        'there is one: unless it keeps a session for each client, set DATABASE_POOLER to transaction',
      );
    const keeps = await keepsNames(client);
    if (named && !keeps)
      return failed('it forgets prepared statements: set DATABASE_NAMED_STATEMENTS to off');
    if ((await limit(client)) === '0')
      return warning(
        'single statements have no time limit: ALTER ROLE … SET statement_timeout, and lock_timeout, for the role that it connects as',
      );
    return ok(!named && keeps ? 'used as one; it would keep named statements' : 'used as one');
  } finally {
    await client.end();
  }
}

/** PostgreSQL tells its clients which process serves them; a pooler makes something up. */
async function isLent(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid !== Reflect.get(client, 'processID');
}

/** A pooler that keeps prepared statements gives them names of its own. */
async function keepsNames(client: Client): Promise<boolean> {
  await client.query('BEGIN');
  await client.query({ name: PROBE, text: 'SELECT 1' });
  const { rowCount } = await client.query('SELECT FROM pg_prepared_statements WHERE name = $1', [PROBE]);
  if (rowCount !== 0) await client.query('DEALLOCATE atrium_doctor');
  await client.query('COMMIT');
  return rowCount === 0;
}

async function limit(client: Client): Promise<string | undefined> {
  const { rows } = await client.query<{ limit: string }>(
    `SELECT current_setting('statement_timeout') AS limit`,
  );
  return rows[0]?.limit;
}
