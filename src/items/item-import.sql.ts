import { maySql } from '../workspaces/permissions.js';

/** What one principal may have unfinished at once. */
export const MAX_UNFINISHED = 3;
/** Refused lines that are kept of an import; all are counted. */
export const MAX_REFUSALS = 10_000;

const COLUMNS = (
  row: string,
): string => `${row}.id, ${row}.workspace_id, ${row}.format, ${row}.dry_run, ${row}.state,
  ${row}.failure, ${row}.received_bytes, ${row}.read_bytes, ${row}.read_lines, ${row}.columns, ${row}.processed,
  ${row}.created, ${row}.refused, ${row}.writable, ${row}.version, ${row}.created_at::text, ${row}.created_by,
  ${row}.updated_at::text, ${row}.finished_at::text`;

/**
 * Answers without an `id` where it may not be; without a row where the caller is no member. What the same request has begun
 * before it was cut off, which nobody knows of, makes room.
 */
export const BEGIN = `WITH me AS (
    SELECT m.workspace_id, m.role FROM memberships m WHERE m.principal_id = $2 AND m.workspace_id =
      COALESCE($3::uuid, (SELECT w.id FROM workspaces w WHERE w.personal_user_id = $2))
  ), replaced AS (
    DELETE FROM item_imports WHERE created_by = $2 AND state = 'uploading' AND request_key = $6::bytea RETURNING id
  ), others AS (
    SELECT count(*) AS n FROM item_imports
    WHERE created_by = $2 AND finished_at IS NULL AND id NOT IN (SELECT id FROM replaced)
  ), written AS (
    INSERT INTO item_imports (id, workspace_id, format, dry_run, created_by, request_key, writable)
    SELECT $1::uuid, me.workspace_id, $4::text, $5::boolean, $2::uuid, $6::bytea, $7::text[] FROM me, others
    WHERE ${maySql('me.role', 'items:write')} AND others.n < ${MAX_UNFINISHED}
    RETURNING id
  )
  SELECT me.role, written.id FROM me LEFT JOIN written ON true`;

/** An import of a workspace whose items the caller may read. */
export const READ = `SELECT ${COLUMNS('i')}, m.role, s.head::text FROM item_imports i
  JOIN memberships m ON m.workspace_id = i.workspace_id AND m.principal_id = $2 AND ${maySql('m.role', 'items:read')}
  JOIN streams s ON s.id = i.workspace_id WHERE i.id = $1`;

export const READ_TO_RUN = `SELECT ${COLUMNS('i')} FROM item_imports i WHERE i.id = $1`;

/** Its first request is answered: whatever comes under the same key is answered by that. */
export const ANSWERED = `UPDATE item_imports SET request_key = NULL WHERE id = $1`;

/** Takes a chunk if the upload is where it begins. */
export const APPEND_CHUNK = `WITH moved AS (
    UPDATE item_imports SET received_bytes = received_bytes + length($3::bytea), updated_at = now()
    WHERE id = $1 AND received_bytes = $2 AND state = 'uploading' RETURNING id
  )
  INSERT INTO item_import_chunks (import_id, start, bytes) SELECT id, $2, $3 FROM moved RETURNING 1 AS taken`;

export const QUEUE = `UPDATE item_imports i SET state = 'queued', request_key = NULL, version = version + 1, updated_at = now(), told_at = now()
  WHERE id = $1 AND state = 'uploading' AND received_bytes = $2 RETURNING ${COLUMNS('i')}`;

/** Ends an import that has not ended. */
export const END = `UPDATE item_imports i SET state = $2, failure = $3, version = version + 1, updated_at = now(),
    told_at = now(), finished_at = now()
  WHERE id = $1 AND finished_at IS NULL RETURNING ${COLUMNS('i')}`;

export const LOCK_WORKSPACE = `SELECT id FROM workspaces WHERE id = $1 FOR NO KEY UPDATE`;

/** Asked after the wait: whoever has lost the right meanwhile is found. An agent has scopes, too. */
export const MAY_IMPORT = `SELECT now()::text AS now, a.scopes FROM memberships m
  LEFT JOIN agents a ON a.id = m.principal_id
  WHERE m.workspace_id = $1 AND m.principal_id = $2 AND ${maySql('m.role', 'items:write')}`;

/** Moves on from where the batch began, and nobody else has meanwhile; `told`: whether it is time for an event. */
export const ADVANCE = `UPDATE item_imports i SET
    state = CASE WHEN $9 THEN 'done' ELSE 'running' END, read_bytes = $3, read_lines = $4, columns = $5::jsonb,
    processed = processed + $6, created = created + $7, refused = refused + $8, version = version + 1,
    updated_at = now(), finished_at = CASE WHEN $9 THEN now() END,
    told_at = CASE WHEN $9 OR told_at < now() - interval '1 second' THEN now() ELSE told_at END
  WHERE id = $1 AND read_bytes = $2 AND state IN ('queued', 'running')
  RETURNING ${COLUMNS('i')}, told_at = now() AS told`;

export const REFUSE = `INSERT INTO item_import_refusals (import_id, line, errors)
  SELECT $1, t.line, t.errors FROM jsonb_to_recordset($2::jsonb) AS t(line int, errors jsonb)`;

/** The chunk in which a byte is. */
export const CHUNK_AT = `SELECT start, bytes FROM item_import_chunks WHERE import_id = $1 AND start <= $2
  ORDER BY start DESC LIMIT 1`;

/** Chunks that end before a byte. */
export const FORGET_CHUNKS = `DELETE FROM item_import_chunks
  WHERE import_id = $1 AND start + length(bytes) <= $2`;

export const REFUSALS = `SELECT line, errors FROM item_import_refusals WHERE import_id = $1 AND line > $2
  ORDER BY line LIMIT $3`;

/** How many are ended, one by one, before it is asked for more. */
export const ABANDONED_BATCH = 100;

/** Uploads that were left alone for a day, which then count as cancelled. */
export const ABANDONED = `SELECT id FROM item_imports
  WHERE state = 'uploading' AND updated_at < now() - interval '1 day' ORDER BY id LIMIT ${ABANDONED_BATCH}`;

/** Some that ended seven days ago, with the lines that they refused. Nothing changes after the end. */
export const PURGE = `DELETE FROM item_imports WHERE id IN (
  SELECT id FROM item_imports
  WHERE finished_at < now() - interval '7 days' AND updated_at < now() - interval '7 days'
  ORDER BY updated_at LIMIT 20 FOR UPDATE SKIP LOCKED)`;
