import { rfc3339Sql } from '../common/rfc3339.js';
import type { Statement } from '../database/pipelined-statements.js';
import { APPEND_CTES } from '../events/append.sql.js';
import { itemRoomSql } from '../items/items.events.js';
import { maySql } from '../workspaces/permissions.js';
import { appendedEvents, LEASE_DEAD, LEASE_EXPIRED, LEASE_RETRIED, leaseEventData } from './leases.events.js';

/** The caller's own workspace unless another is named. */
const WORKSPACE = (named: string, principal: string): string =>
  `COALESCE(${named}::uuid, (SELECT w.id FROM workspaces w WHERE w.personal_user_id = ${principal}))`;

/** Dead items of a workspace, by id. No row: not a member. One row without an item: none left. */
export const LIST_DEAD: Statement = {
  name: 'leases.list_dead',
  text: `SELECT s.head, d.* FROM memberships m
    JOIN streams s ON s.id = m.workspace_id
    LEFT JOIN LATERAL (
      SELECT l.item_id, ${leaseEventData('l')}::text AS work, ${rfc3339Sql('l.changed_at')} AS dead_at
      FROM lease_states l
      WHERE l.workspace_id = m.workspace_id AND l.state = 'dead' AND ($5::text IS NULL OR l.type = $5)
        AND l.item_id > COALESCE($3::uuid, '00000000-0000-0000-0000-000000000000')
      ORDER BY l.item_id LIMIT $4
    ) d ON true
    WHERE m.principal_id = $1 AND m.workspace_id = ${WORKSPACE('$2', '$1')} AND ${maySql('m.role', 'items:read')}
    ORDER BY d.item_id`,
};

/**
 * Dead items $2 are tried again from the beginning, in one workspace ($3). One row in any case, unless the caller is no
 * member.
 */
export const RETRY_DEAD: Statement = {
  name: 'leases.retry',
  text: `
    WITH allowed AS MATERIALIZED (
      SELECT m.workspace_id, ${maySql('m.role', 'items:write')} AND m.role <> 'agent' AS may FROM memberships m
      WHERE m.principal_id = $1 AND m.workspace_id = ${WORKSPACE('$3', '$1')}
    ),
    found AS MATERIALIZED (
      SELECT l.item_id FROM lease_states l JOIN allowed a ON a.workspace_id = l.workspace_id AND a.may
      WHERE l.item_id = ANY ($2::uuid[]) AND l.state = 'dead'
      ORDER BY l.item_id FOR UPDATE OF l
    ),
    revived AS (
      UPDATE lease_states l SET state = 'ready', attempts = 0, due_at = now(), reason = NULL, changed_at = now()
      FROM found f WHERE l.item_id = f.item_id RETURNING l.*
    ),
    changes AS MATERIALIZED (
      SELECT row_number() OVER (ORDER BY r.item_id)::int AS n, r.workspace_id AS stream_id,
        gen_random_uuid() AS event_id, '${LEASE_RETRIED}' AS type, ${itemRoomSql('r.item_id')} AS subject,
        $1::uuid AS principal_id, ${leaseEventData('r')} AS data
      FROM revived r
    ), ${APPEND_CTES}
    SELECT a.may::text, (SELECT COALESCE(jsonb_agg(r.item_id ORDER BY r.item_id), '[]') FROM revived r)::text AS items,
      ${appendedEvents('true')} AS events
    FROM allowed a`,
};

/** So many leases whose time is over are free again, or dead; told in the name of those who held them. */
export const EXPIRE_LEASES: Statement = {
  name: 'leases.expire',
  text: `
    WITH over AS MATERIALIZED (
      SELECT l.item_id, l.attempts < q.attempts AS again FROM lease_states l
      JOIN lease_types q ON q.workspace_id = l.workspace_id AND q.type = l.type
      WHERE l.state = 'leased' AND l.fence IS NOT NULL AND l.due_at <= now()
      ORDER BY l.item_id LIMIT $1 FOR UPDATE OF l SKIP LOCKED
    ),
    freed AS (
      UPDATE lease_states l SET state = CASE WHEN o.again THEN 'ready' ELSE 'dead' END, reason = 'expired',
        changed_at = now()
      FROM over o WHERE l.item_id = o.item_id RETURNING l.*
    ),
    changes AS MATERIALIZED (
      SELECT row_number() OVER (ORDER BY f.item_id)::int AS n, f.workspace_id AS stream_id,
        gen_random_uuid() AS event_id, CASE f.state WHEN 'dead' THEN '${LEASE_DEAD}' ELSE '${LEASE_EXPIRED}' END AS type,
        ${itemRoomSql('f.item_id')} AS subject, f.agent_id AS principal_id, ${leaseEventData('f')} AS data
      FROM freed f
    ), ${APPEND_CTES}
    SELECT (SELECT count(*) FROM freed)::text AS freed, ${appendedEvents('true')} AS events`,
};

export const SET_TYPE = `INSERT INTO lease_types AS t (workspace_id, type, concurrency, attempts)
  VALUES ($1, $2, $3, $4)
  ON CONFLICT (workspace_id, type) DO UPDATE SET concurrency = excluded.concurrency, attempts = excluded.attempts,
    claims = t.claims + 1`;

/**
 * The types of items that there are in a workspace, the first $2 of them, and those that agents work on. Goes from one type
 * to the next by the index: as many steps as there are types, however many items.
 */
export const ALL_TYPES: Statement = {
  name: 'leases.all_types',
  text: `
    WITH RECURSIVE found AS (
      (SELECT i.type FROM items i WHERE i.workspace_id = $1 ORDER BY i.type LIMIT 1)
      UNION ALL
      SELECT (
        SELECT i.type FROM items i WHERE i.workspace_id = $1 AND i.type > f.type ORDER BY i.type LIMIT 1
      ) FROM found f WHERE f.type IS NOT NULL
    )
    (SELECT type FROM found WHERE type IS NOT NULL LIMIT $2)
    UNION SELECT type FROM lease_types WHERE workspace_id = $1 ORDER BY type`,
};

export const KNOWN_TYPES: Statement = {
  name: 'leases.known_types',
  text: `SELECT type, (concurrency IS NOT NULL)::text AS limited FROM lease_types
    WHERE workspace_id = $1 AND type = ANY ($2)`,
};

/** The workspace, which batches lock first, and the counter of its stream, which whoever writes items locks. */
export const LOCK_WORKSPACE = `SELECT 1 FROM workspaces WHERE id = $1 FOR NO KEY UPDATE`;
export const LOCK_STREAM = `SELECT 1 FROM streams WHERE id = $1 AND ended_at IS NULL FOR NO KEY UPDATE`;
export const COUNT_TYPES = `SELECT count(*)::int AS types FROM lease_types WHERE workspace_id = $1`;
export const ADD_TYPES = `INSERT INTO lease_types (workspace_id, type) SELECT $1, unnest($2::text[])`;
/** The items that were there before their type was worked on. */
export const ADD_ITEMS = `INSERT INTO lease_states (item_id, workspace_id, type, priority, labels, due_at)
  SELECT i.id, i.workspace_id, i.type, w.priority, w.labels, w.due_at
  FROM items i CROSS JOIN LATERAL lease_wish(i.data) w
  WHERE i.workspace_id = $1 AND i.type = ANY ($2::text[])`;
