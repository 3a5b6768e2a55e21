import type { Statement } from '../database/pipelined-statements.js';
import type { CombinableWrite } from '../events/write-combiner.js';
import { ITEM_RESTORED } from './items.events.js';
import {
  BECOMES_WRITABLE,
  CHANGED,
  type ChangeInput,
  changes,
  current,
  MAY_CHANGE,
  mayRead,
  workspace,
} from './items.sql.js';
import { withinBytes } from './page-bytes.sql.js';

export interface RestoreInput extends ChangeInput {
  /** All three: the content of an older version instead of what was deleted. */
  readonly type?: string;
  readonly title?: string;
  readonly data?: unknown;
}

/** Back from the trash as a new version: the item is in one of the two tables for whoever looks, never in both. */
export const RESTORE_ITEMS: CombinableWrite<RestoreInput> = {
  keyOf: (input) => input.id,
  statement: {
    name: 'items.restore',
    text: `
    WITH input AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(
        n int, id uuid, event_id uuid, principal_id uuid, if_match int[], conditional boolean,
        type text, title text, data jsonb, writable text[])
    ),
    ${current('trashed_items')},
    taken AS (
      DELETE FROM trashed_items i USING input t JOIN current c ON c.n = t.n
      WHERE i.id = c.id AND ${MAY_CHANGE} AND ${BECOMES_WRITABLE}
      RETURNING i.id, i.workspace_id, COALESCE(t.type, i.type) AS type, COALESCE(t.title, i.title) AS title,
        COALESCE(t.data, i.data) AS data, i.version + 1 AS version, i.created_at, i.created_by, t.principal_id
    ),
    written AS (
      INSERT INTO items (id, workspace_id, type, title, data, version, created_at, created_by, updated_by)
      SELECT * FROM taken RETURNING *
    ), ${changes(ITEM_RESTORED)}
    ${CHANGED}`,
  },
};

const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/**
 * The newest deletions of a workspace, before one of them. No row: not a member. One row without an item: none left.
 */
export const LIST_TRASH: Statement = {
  name: 'items.list_trash',
  text: `SELECT s.head, i.id, i.workspace_id, i.type, i.title, i.text AS data, i.version, i.created_at,
      i.created_by, i.deleted_at, i.deleted_by, i.kept_until
    FROM memberships m
    JOIN streams s ON s.id = m.workspace_id
    LEFT JOIN LATERAL (${withinBytes(
      `SELECT i.*, CASE WHEN $6::int > 0 THEN i.deleted_at + $6::int * interval '1 day' END AS kept_until
      FROM trashed_items i WHERE i.workspace_id = m.workspace_id
        AND (i.deleted_at, i.id) < (COALESCE($3::timestamptz, 'infinity'), COALESCE($4::uuid, '${LAST_ID}'))
      ORDER BY i.deleted_at DESC, i.id DESC LIMIT $5`,
      'deleted_at DESC, id DESC',
    )}) i ON true
    WHERE m.principal_id = $1 AND m.workspace_id = ${workspace('$2', '$1')} AND ${mayRead('m.role')}
    ORDER BY i.deleted_at DESC, i.id DESC`,
};
