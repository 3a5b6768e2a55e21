import type { Statement } from '../database/pipelined-statements.js';
import { ITEM_CREATED, ITEM_DELETED, ITEM_RESTORED, ITEM_UPDATED } from './items.events.js';
import { mayRead } from './items.sql.js';

/** The events that are versions of an item. */
const VERSIONS = [ITEM_CREATED, ITEM_UPDATED, ITEM_DELETED, ITEM_RESTORED]
  .map((type) => `'${type}'`)
  .join(', ');

/** An item that the principal may see, wherever it is: nobody sees more of the past than of the present. */
const ME = `me AS MATERIALIZED (
    SELECT i.workspace_id, s.head FROM (
      SELECT id, workspace_id FROM items WHERE id = $1
      UNION ALL SELECT id, workspace_id FROM trashed_items WHERE id = $1
    ) i
    JOIN memberships m ON m.workspace_id = i.workspace_id AND m.principal_id = $2 AND ${mayRead('m.role')}
    JOIN streams s ON s.id = i.workspace_id
  )`;

/**
 * The newest versions of an item before one of them, given by its `seq` and its number: from the events, by the index
 * on their subject, and what is archived of them. Each comes from both while it is being archived, and counts once.
 * A page ends at the byte bound, but never before its second version: the first is compared with it. What is stored
 * is measured first, since that costs nothing, then the text. No row: nothing to see.
 */
export const READ_HISTORY = `WITH ${ME}
  SELECT me.head, found.* FROM me LEFT JOIN LATERAL (
    SELECT seq, type, principal_id, "time", text AS snapshot, candidates FROM (
      SELECT *, sum(octet_length(text)) OVER (ORDER BY seq DESC) AS bytes FROM (
        SELECT *, data::text AS text FROM (
          SELECT *, sum(pg_column_size(data)) OVER (ORDER BY seq DESC) AS stored,
            row_number() OVER (ORDER BY seq DESC) AS n, count(*) OVER () AS candidates
          FROM (
            SELECT DISTINCT ON (seq) * FROM (
              (SELECT e.seq, e.type, e.principal_id, e."time", e.data FROM events e
                WHERE e.subject = $3 AND e.seq < $4 AND e.type IN (${VERSIONS}) ORDER BY e.seq DESC LIMIT $6)
              UNION ALL
              (SELECT v.seq, v.type, v.principal_id, v."time", v.data FROM item_versions v
                WHERE v.workspace_id = me.workspace_id AND v.item_id = $1 AND v.version < $5
                ORDER BY v.version DESC LIMIT $6)
            ) either ORDER BY seq DESC LIMIT $6
          ) one
        ) measured
        WHERE stored <= $7 OR n <= 2 OFFSET 0
      ) unpacked
    ) counted
    WHERE bytes <= $7 OR n <= 2
  ) found ON true ORDER BY found.seq DESC`;

/** One version of an item, as its columns. No row: nothing to see. A row without an id: no such version. */
export const READ_VERSION: Statement = {
  name: 'items.read_version',
  text: `WITH ${ME}, place AS MATERIALIZED (SELECT item_event_seq($3, $4, head) AS seq FROM me)
  SELECT me.head, v.data->>'id' AS id, v.data->>'workspaceId' AS workspace_id, v.data->>'type' AS type,
    v.data->>'title' AS title, v.data->'data' AS data, v.data->>'version' AS version,
    v.data->>'createdAt' AS created_at, v.data->>'createdBy' AS created_by,
    v.data->>'updatedAt' AS updated_at, v.data->>'updatedBy' AS updated_by
  FROM me LEFT JOIN LATERAL (
    (SELECT a.data FROM item_versions a
      WHERE a.workspace_id = me.workspace_id AND a.item_id = $1 AND a.version = $4)
    UNION ALL
    (SELECT e.data FROM events e
      WHERE e.subject = $3 AND e.seq = (SELECT seq FROM place) AND e.type IN (${VERSIONS}))
    LIMIT 1
  ) v ON true`,
};

/** Copies the versions of items that are still there out of events that are to be dropped. */
export const ARCHIVE_VERSIONS = `
  INSERT INTO item_versions (workspace_id, item_id, version, seq, type, principal_id, "time", data)
  SELECT d.stream_id, d.item_id, (d.data->>'version')::int, d.seq, d.type, d.principal_id, d."time", d.data
  FROM (
    SELECT *, split_part(subject, '/', 2)::uuid AS item_id FROM due WHERE type IN (${VERSIONS}) OFFSET 0
  ) d
  WHERE EXISTS (SELECT FROM items i WHERE i.id = d.item_id)
    OR EXISTS (SELECT FROM trashed_items i WHERE i.id = d.item_id)
  ON CONFLICT DO NOTHING`;
