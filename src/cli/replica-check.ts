import type { Client } from 'pg';
import type { DataSource } from 'typeorm';
import { reasonOf } from '../common/reason.js';
import { CONNECT_TIMEOUT_MS } from '../database/session-options.js';
import { newClient, sessionConfig } from '../database/sessions.js';
import { failed, type Judged, ok, warning } from './finding.js';

interface Found {
  readonly follows: boolean;
  readonly system: string;
  readonly feedback: string;
}

const SYSTEM = 'SELECT system_identifier AS system FROM pg_control_system()';
const LOOK = `SELECT pg_is_in_recovery() AS follows, (${SYSTEM}), current_setting('hot_standby_feedback') AS feedback`;
const PATIENCE_MS = 5_000;

/** Whether the replica is one of this database. */
export async function checkReplica(
  primary: DataSource,
  { readUrl, pooled }: { readonly readUrl: string | undefined; readonly pooled: boolean },
): Promise<Judged> {
  if (readUrl === undefined) return ok('there is none');
  const client = newClient({
    ...sessionConfig({ url: readUrl, pooled }, { name: 'atrium', statementTimeoutMs: PATIENCE_MS }),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  try {
    await client.connect();
    return await judge(primary, client);
  } catch (error) {
    return warning(`it is away, so the primary does its part: ${reasonOf(error)}`);
  } finally {
    await client.end();
  }
}

async function judge(primary: DataSource, client: Client): Promise<Judged> {
  const { rows } = await client.query<Found>(LOOK);
  const [{ system }] = await primary.query<[{ system: string }]>(SYSTEM);
  const [found] = rows;
  if (!found?.follows)
    return failed('READ_DATABASE_URL leads to a server that follows none: it is never used');
  if (found.system !== system)
    return failed('READ_DATABASE_URL leads to a replica of another database: it is never used');
  return found.feedback === 'on'
    ? ok('follows this database')
    : warning('hot_standby_feedback is off: a long export can be broken off; turn it on');
}
