/** Items, and versions of items, that go in one transaction. */
export const PURGE_BATCH = 500;
export const VERSIONS_BATCH = 2_000;

/** The workspace of an item in the trash, if the caller is a member of it. */
export const FIND_TRASHED = `SELECT i.workspace_id AS "workspaceId" FROM trashed_items i
  JOIN memberships m ON m.workspace_id = i.workspace_id AND m.principal_id = $2 WHERE i.id = $1`;

/** The same item under lock; no row if it is not there any more. */
export const LOCK_TRASHED = `SELECT i.version, ws.require_if_match AS "requireIfMatch"
  FROM trashed_items i JOIN workspaces ws ON ws.id = i.workspace_id WHERE i.id = $1 FOR UPDATE OF i`;

/** Out of the trash; what is archived of them is noted, to be removed later. */
const purge = (due: string): string => `
  WITH due AS MATERIALIZED (${due}), gone AS (
    DELETE FROM trashed_items i USING due d WHERE i.id = d.id RETURNING i.workspace_id, i.id
  ), noted AS (
    INSERT INTO purged_items (workspace_id, id) SELECT workspace_id, id FROM gone
  )
  SELECT id FROM gone`;

export const PURGE_ONE = purge('SELECT $1::uuid AS id');
/** What has been in the trash for more than `$1` days, but for what somebody is bringing back at this moment. */
export const PURGE_EXPIRED = purge(`
  SELECT id FROM trashed_items WHERE deleted_at < now() - $1::int * interval '1 day'
  ORDER BY deleted_at LIMIT ${PURGE_BATCH} FOR UPDATE SKIP LOCKED`);

/** Some of the versions of purged items; a note goes with the last of them. */
export const PURGE_VERSIONS = `
  WITH target AS MATERIALIZED (
    SELECT workspace_id, id FROM purged_items ORDER BY workspace_id, id LIMIT ${PURGE_BATCH}
    FOR UPDATE SKIP LOCKED
  ), due AS MATERIALIZED (
    SELECT v.workspace_id, v.item_id, v.version FROM target t
    JOIN item_versions v ON v.workspace_id = t.workspace_id AND v.item_id = t.id
    ORDER BY v.workspace_id, v.item_id, v.version LIMIT ${VERSIONS_BATCH}
  ), gone AS (
    DELETE FROM item_versions v USING due d
    WHERE v.workspace_id = d.workspace_id AND v.item_id = d.item_id AND v.version = d.version
  ), done AS (
    DELETE FROM purged_items p USING target t
    WHERE p.workspace_id = t.workspace_id AND p.id = t.id AND (SELECT count(*) FROM due) < ${VERSIONS_BATCH}
  )
  SELECT FROM target`;
