/**
 * The append that every write ends in, as CTEs to stand behind a CTE `changes (n, stream_id, event_id, type,
 * subject, principal_id, data)` with one row per event in the order of `n`. Provides `appended (id, stream_id,
 * seq, time)`.
 *
 * The counters are locked in sorted order, after whatever rows the statement locked before, so that two
 * writers never wait for each other; a `seq` is taken in the writer's own transaction, so a rollback leaves
 * no hole; and the order of `seq` is the order of commits.
 *
 * A statement decides by its snapshot who may write, and may then wait for locks while somebody loses that
 * right. So it compares `access_seq` as its snapshot has it (`seen`) with what it finds once it holds the counter
 * (`locked`): if they differ, the whole statement fails with 40001 and is run again. What commits was
 * authorised at its own position in the stream. A stream that has ended takes nothing.
 *
 * @param takesAccess whether the events take a right from somebody, so that `access_seq` moves to them
 */
const appendCtes = (takesAccess: boolean): string => `
  counts AS (SELECT stream_id, count(*)::int AS added FROM changes GROUP BY stream_id),
  seen AS MATERIALIZED (
    SELECT s.id, s.access_seq FROM streams s JOIN counts c ON c.stream_id = s.id WHERE s.ended_at IS NULL
  ),
  locked AS MATERIALIZED (
    SELECT s.id, s.access_seq FROM streams s JOIN counts c ON c.stream_id = s.id
    ORDER BY s.id FOR NO KEY UPDATE OF s
  ),
  authorised AS MATERIALIZED (
    SELECT CASE WHEN l.access_seq = s.access_seq THEN l.id ELSE refuse_stale_access() END AS id
    FROM locked l JOIN seen s ON s.id = l.id
  ),
  advanced AS (
    UPDATE streams s SET head = s.head + c.added${takesAccess ? ', access_seq = s.head + c.added' : ''}
    FROM counts c JOIN authorised a ON a.id = c.stream_id
    WHERE s.id = c.stream_id
    RETURNING s.id, s.head - c.added AS base
  ),
  appended AS (
    INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
    SELECT c.stream_id, a.base + row_number() OVER (PARTITION BY c.stream_id ORDER BY c.n),
      c.event_id, c.type, c.subject, c.principal_id, c.data
    FROM changes c JOIN advanced a ON a.id = c.stream_id
    RETURNING id, stream_id, seq, "time"
  )`;

export const APPEND_CTES = appendCtes(false);

/** Events that come without a record, as a JSON array in the first parameter. */
const INPUT = `input AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(
      n int, stream_id uuid, event_id uuid, type text, subject text, principal_id uuid, data jsonb,
      authorised_at bigint)
  )`;

const ANSWER = `
  SELECT i.n::text, i.event_id::text, a.stream_id::text, a.seq::text, i.type, i.subject, i.principal_id::text,
    a."time"::text, i.data::text
  FROM input i LEFT JOIN appended a ON a.id = i.event_id ORDER BY i.n`;

/** Appends what was authorised as of a position after which nobody has lost a right; the rest has no `seq`. */
export const APPEND_AUTHORISED = `
  WITH ${INPUT}, changes AS MATERIALIZED (
    SELECT i.* FROM input i JOIN streams s ON s.id = i.stream_id
    WHERE i.authorised_at IS NULL OR s.access_seq <= i.authorised_at
  ), ${APPEND_CTES} ${ANSWER}`;

/** Appends events within a transaction that has decided by itself. */
export const appendAll = (takesAccess: boolean): string => `
  WITH ${INPUT}, changes AS MATERIALIZED (SELECT * FROM input), ${appendCtes(takesAccess)} ${ANSWER}`;
