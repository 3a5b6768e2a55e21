/** The workspaces that a batch writes to, locked in sorted order: nobody loses a right in them until it commits. */
export const LOCK_WORKSPACES = `SELECT w.id FROM workspaces w
  JOIN memberships m ON m.workspace_id = w.id AND m.principal_id = $1
  WHERE w.id = ANY ($3::uuid[]) OR ($4 AND w.personal_user_id = $1)
    OR w.id IN (SELECT i.workspace_id FROM items i WHERE i.id = ANY ($2::uuid[]))
  ORDER BY w.id FOR NO KEY UPDATE OF w`;

/** What the caller is in them, after the wait. */
export const READ_ROLES = `SELECT w.id, m.role, w.require_if_match AS "requireIfMatch",
    w.personal_user_id IS NOT DISTINCT FROM $1 AS personal, now()::text AS now
  FROM workspaces w JOIN memberships m ON m.workspace_id = w.id AND m.principal_id = $1
  WHERE w.id = ANY ($2::uuid[])`;

/** Whether those before this one leave something of the $3 bytes: the first may be as large as items are. */
const hasRoom = (size: string): string => `sum(${size}) OVER (ORDER BY id) - ${size} < $3::bigint`;

/**
 * The items of a batch as they are, locked in sorted order; every column as text. `data` is null where there is too much
 * of it together: what is compressed is told by its size first, which costs nothing, and only then unpacked.
 */
export const LOCK_ITEMS = `WITH locked AS MATERIALIZED (
    SELECT i.* FROM items i WHERE i.id = ANY ($1::uuid[]) AND i.workspace_id = ANY ($2::uuid[])
    ORDER BY i.id FOR NO KEY UPDATE
  ),
  packed AS (SELECT l.*, ${hasRoom('pg_column_size(l.data)')} AS fits FROM locked l),
  unpacked AS MATERIALIZED (SELECT p.*, CASE WHEN p.fits THEN p.data::text END AS text FROM packed p)
  SELECT id::text, workspace_id::text, type, title, version::text, created_at::text, created_by::text,
    updated_at::text, updated_by::text, CASE WHEN ${hasRoom('octet_length(text)')} THEN text END AS data
  FROM unpacked ORDER BY id`;

const ROWS = `jsonb_to_recordset($1::jsonb) AS t(
  id uuid, workspace_id uuid, type text, title text, data jsonb, version int)`;

export const INSERT_BATCH = `INSERT INTO items (id, workspace_id, type, title, data, created_by, updated_by)
  SELECT t.id, t.workspace_id, t.type, t.title, t.data, $2, $2 FROM ${ROWS}`;

export const UPDATE_BATCH = `UPDATE items i SET type = t.type, title = t.title, data = t.data,
    version = t.version, updated_at = now(), updated_by = $2
  FROM ${ROWS} WHERE i.id = t.id`;

/** To the trash, as the batch has left them. */
export const DELETE_BATCH = `WITH gone AS (
    DELETE FROM items i USING ${ROWS} WHERE i.id = t.id
    RETURNING i.id, i.workspace_id, t.type, t.title, t.data, t.version, i.created_at, i.created_by
  )
  INSERT INTO trashed_items (id, workspace_id, type, title, data, version, created_at, created_by, deleted_by)
  SELECT gone.*, $2::uuid FROM gone`;
