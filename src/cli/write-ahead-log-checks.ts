import type { DataSource } from 'typeorm';
import { type Judged, ok, warning } from './finding.js';

/** What a slot that nobody reads may hold, in bytes: a few segments are nothing. */
const MOST_HELD = 1_073_741_824;

const IDLE_SLOTS = `SELECT slot_name AS name, pg_size_pretty(held) AS held FROM (
    SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS held
    FROM pg_replication_slots WHERE NOT active AND NOT temporary) AS slots
  WHERE held > $1 ORDER BY slots.held DESC LIMIT 5`;
const ARCHIVER = `SELECT current_setting('archive_mode') <> 'off' AS "isOn", last_failed_wal AS segment,
    last_failed_time > COALESCE(last_archived_time, '-infinity') AS fails
  FROM pg_stat_archiver`;

/** Slots that nobody reads keep the write-ahead log for their reader, until the disk is full. */
export async function checkSlots(database: DataSource): Promise<Judged> {
  const slots = await database.query<{ name: string; held: string }[]>(IDLE_SLOTS, [MOST_HELD]);
  if (slots.length === 0) return ok('none holds the log up');
  const found = slots.map(({ name, held }) => `${name} holds ${held}`).join(', ');
  return warning(`${found}, and nobody reads: SELECT pg_drop_replication_slot('name') if its reader is gone`);
}

/** What cannot be archived is kept, too, and is in no backup. */
export async function checkArchiving(database: DataSource): Promise<Judged> {
  const [{ isOn, fails, segment }] =
    await database.query<[{ isOn: boolean; fails: boolean | null; segment: string | null }]>(ARCHIVER);
  if (!isOn) return ok('off: backups are dumps, or there are none');
  return fails
    ? warning(
        `the last try failed, of ${segment}: PostgreSQL's log says why; it keeps all since then on its disk`,
      )
    : ok('the log is archived');
}
