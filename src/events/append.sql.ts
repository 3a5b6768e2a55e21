/**
 * The append that every write ends in, as CTEs to stand behind a CTE `changes (n, stream_id, event_id, type,
 * subject, principal_id, data)` with one row per event in the order of `n`. Provides `appended (id, stream_id,
 * seq, time)`.
 *
 * The counters are locked in sorted order, after whatever rows the statement locked before, so that two
 * writers never wait for each other; a `seq` is taken in the writer's own transaction, so a rollback leaves
 * no hole; and the order of `seq` is the order of commits.
 */
export const APPEND_CTES = `
  counts AS (SELECT stream_id, count(*)::int AS added FROM changes GROUP BY stream_id),
  locked AS MATERIALIZED (
    SELECT s.id FROM streams s JOIN counts c ON c.stream_id = s.id ORDER BY s.id FOR NO KEY UPDATE OF s
  ),
  advanced AS (
    UPDATE streams s SET head = s.head + c.added
    FROM counts c JOIN locked l ON l.id = c.stream_id
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
