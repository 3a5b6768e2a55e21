import { inWorkspaces } from '../database/in-workspaces.sql.js';
import type { Statement } from '../database/pipelined-statements.js';
import { APPEND_CTES } from '../events/append.sql.js';
import type { CombinableWrite } from '../events/write-combiner.js';
import { maySql, membershipOf } from '../workspaces/permissions.js';
import { itemQuestion } from './item-homes.js';
import { tooLarge } from './items.errors.js';
import { ITEM_CREATED, ITEM_DELETED, ITEM_UPDATED, itemEventData, itemRoomSql } from './items.events.js';
import { withinBytes } from './page-bytes.sql.js';

/**
 * What an answer is made of, in the order of {@link toItemResponse}.
 * @param data what is called `data`
 */
export const columns = (row: string, data = `${row}.data`): string =>
  [
    ...['id', 'workspace_id', 'type', 'title'].map((column) => `${row}.${column}`),
    data,
    ...['version', 'created_at', 'created_by', 'updated_at', 'updated_by'].map(
      (column) => `${row}.${column}`,
    ),
  ].join(', ');

export const mayRead = (role: string): string => maySql(role, 'items:read');
export const mayWrite = (role: string): string => maySql(role, 'items:write');

/** The caller's own workspace unless another is named. */
export const workspace = (named: string, principal: string): string =>
  `COALESCE(${named}::uuid, (SELECT w.id FROM workspaces w WHERE w.personal_user_id = ${principal}))`;

/** An item that the principal may see, with the position of its stream. */
export const READ_ITEM = itemQuestion(
  'items.read',
  (meant) => `SELECT ${columns('i')}, s.head FROM items i
    JOIN memberships m ON m.workspace_id = i.workspace_id AND m.principal_id = $2 AND ${mayRead('m.role')}
    JOIN streams s ON s.id = i.workspace_id
    WHERE ${meant}`,
);

/** {@link READ_ITEM} for whoever is about to write it. */
export const READ_TO_WRITE = itemQuestion(
  'items.read_to_write',
  (meant) => `SELECT ${columns('i')}, m.role FROM items i
    JOIN memberships m ON m.workspace_id = i.workspace_id AND m.principal_id = $2
    WHERE ${meant}`,
);

/**
 * The newest items of a workspace, from before an id on, or with it. No row: not a member. One row without an item:
 * none left.
 */
export const LIST_ITEMS: Statement = {
  name: 'items.list',
  text: listItems('<', 'DESC', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
};

/** The other way: from after an id on, the oldest first. */
export const LIST_ITEMS_BACKWARD: Statement = {
  name: 'items.list_backward',
  text: listItems('>', 'ASC', '00000000-0000-0000-0000-000000000000'),
};

function listItems(beyond: '<' | '>', direction: 'ASC' | 'DESC', start: string): string {
  const page = `SELECT ${columns('i')} FROM items i WHERE i.workspace_id = m.workspace_id
        AND i.id ${beyond}= COALESCE($3::uuid, '${start}') AND ($5::boolean OR i.id <> $3 OR $3 IS NULL)
      ORDER BY i.id ${direction} LIMIT $4`;
  return `SELECT s.head, ${columns('i', 'i.text AS data')} FROM memberships m
    JOIN streams s ON s.id = m.workspace_id
    LEFT JOIN LATERAL (${withinBytes(page, `id ${direction}`)}) i ON true
    WHERE m.principal_id = $1 AND m.workspace_id = ${workspace('$2', '$1')} AND ${mayRead('m.role')}
    ORDER BY i.id ${direction}`;
}

/** One event for each written row. */
export const changes = (type: string): string => `
    changes AS (
      SELECT t.n, w.workspace_id AS stream_id, t.event_id, '${type}' AS type,
        ${itemRoomSql('w.id')} AS subject, w.updated_by AS principal_id, ${itemEventData('w')} AS data
      FROM written w JOIN input t ON t.id = w.id
    ), ${APPEND_CTES}`;

export interface CreateInput {
  readonly id: string;
  readonly event_id: string;
  readonly principal_id: string;
  readonly workspace_id: string | undefined;
  readonly type: string;
  readonly title: string;
  readonly data: unknown;
  /** The types that the caller may write; all of them when left out. */
  readonly writable: readonly string[] | undefined;
}

/** Whether the caller's scopes reach to items of a type. */
const isWritable = (type: string): string => `(t.writable IS NULL OR ${type} = ANY (t.writable))`;

/** Answers `role` null where the caller is no member of the workspace. */
export const CREATE_ITEMS: CombinableWrite<CreateInput> = {
  refusal: tooLarge,
  statement: {
    name: 'items.create',
    text: `
    WITH input AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(
        n int, id uuid, event_id uuid, principal_id uuid, workspace_id uuid, type text, title text, data jsonb,
        writable text[])
    ),
    allowed AS MATERIALIZED (
      SELECT t.n, m.workspace_id, m.role FROM input t
      CROSS JOIN ${membershipOf(workspace('t.workspace_id', 't.principal_id'), 't.principal_id')} m
    ),
    written AS (
      INSERT INTO items (id, workspace_id, type, title, data, created_by, updated_by)
      SELECT t.id, a.workspace_id, t.type, t.title, t.data, t.principal_id, t.principal_id
      FROM input t JOIN allowed a ON a.n = t.n
      WHERE ${mayWrite('a.role')} AND ${isWritable('t.type')}
      RETURNING *
    ), ${changes(ITEM_CREATED)}
    SELECT t.n, a.role, t.event_id, e.seq, ${columns('w')}
    FROM input t
    LEFT JOIN allowed a ON a.n = t.n
    LEFT JOIN written w ON w.id = t.id
    LEFT JOIN appended e ON e.id = t.event_id`,
  },
};

export interface ChangeInput {
  readonly id: string;
  /** The workspace of the item, if it is known. */
  readonly homes: readonly [string] | undefined;
  readonly event_id: string;
  readonly principal_id: string;
  /** The versions that the change may start from; any when left out. */
  readonly if_match: readonly number[] | undefined;
  /** Whether the caller said from which version, `*` included; some workspaces demand it. */
  readonly conditional: boolean;
  /** The types that the caller may write; all of them when left out. */
  readonly writable: readonly string[] | undefined;
  /** The lease under which the change is made: without it nothing is changed. */
  readonly lease?: string | undefined;
}

export interface UpdateInput extends ChangeInput {
  readonly type: string | undefined;
  readonly title: string | undefined;
  /** A merge patch of the data (RFC 7396). */
  readonly data?: unknown;
  /** The data instead of what there is. */
  readonly replacement?: unknown;
}

/**
 * The items as they are now, locked in sorted order, with what the caller may do to them.
 * @param meant which of them `i` the input `t` is about
 */
export const current = (
  table: 'items' | 'trashed_items',
  meant = 'i.id = t.id',
): string => `current AS MATERIALIZED (
      SELECT t.n, i.id, i.workspace_id, ARRAY[i.workspace_id] AS homes, i.version, i.type, m.role,
        ws.require_if_match AND NOT t.conditional AS lacks_if_match
      FROM input t
      JOIN ${table} i ON ${meant}
      CROSS JOIN ${membershipOf('i.workspace_id', 't.principal_id')} m
      CROSS JOIN LATERAL (SELECT w.require_if_match FROM workspaces w WHERE w.id = i.workspace_id LIMIT 1) ws
      ORDER BY i.id FOR NO KEY UPDATE OF i
    )`;

/**
 * The leases under which changes are made, of callers who hold them, locked behind the items: whoever waits for one finds
 * it as it is by then, and by the clock of that moment.
 */
const LEASED = `leased AS MATERIALIZED (
      SELECT c.n FROM input t JOIN current c ON c.n = t.n CROSS JOIN LATERAL (
        SELECT FROM lease_states l
        WHERE l.item_id = c.id AND l.workspace_id = c.workspace_id AND l.lease_id = t.lease AND l.state = 'leased'
          AND l.agent_id = t.principal_id AND l.due_at > clock_timestamp() FOR UPDATE
      ) l WHERE t.lease IS NOT NULL
    )`;
const HOLDS_LEASE = `(t.lease IS NULL OR EXISTS (SELECT FROM leased h WHERE h.n = t.n))`;

/** What it is now; what it becomes is for {@link BECOMES_WRITABLE} to say. */
export const MAY_CHANGE = `${mayWrite('c.role')} AND ${isWritable('c.type')} AND NOT c.lacks_if_match
        AND (t.if_match IS NULL OR c.version = ANY (t.if_match))`;

/** Whether the caller's scopes reach to what it becomes. */
export const BECOMES_WRITABLE = isWritable('COALESCE(t.type, c.type)');

/** What every change answers: the version found, null where there is nothing to see, and what was written. */
const changed = (more: string): string => `
    SELECT t.n, c.role, c.version AS found_version, c.type AS found_type, c.lacks_if_match,${more} t.event_id, e.seq, ${columns('w')}
    FROM input t
    LEFT JOIN current c ON c.n = t.n
    LEFT JOIN written w ON w.id = t.id
    LEFT JOIN appended e ON e.id = t.event_id`;
export const CHANGED = changed('');
const CHANGED_UNDER_LEASE = changed(` NOT ${HOLDS_LEASE} AS lease_lost,`);

/** Changes of items wherever they are, and the same for items whose workspaces are all known. */
const changeItems = (
  name: string,
  textOf: (meant?: string) => string,
): Pick<CombinableWrite<ChangeInput>, 'statement' | 'located'> => ({
  statement: { name, text: textOf() },
  located: {
    statement: {
      name: `${name}_at_home`,
      text: textOf(`i.id = t.id AND ${inWorkspaces('i.workspace_id', 't.homes')}`),
    },
    fits: (input) => input.homes !== undefined,
  },
});

export const UPDATE_ITEMS: CombinableWrite<UpdateInput> = {
  keyOf: (input) => input.id,
  refusal: tooLarge,
  ...changeItems(
    'items.update',
    (meant) => `
    WITH input AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(
        n int, id uuid, homes uuid[], event_id uuid, principal_id uuid, if_match int[], conditional boolean,
        type text, title text, data jsonb, replacement jsonb, writable text[], lease uuid)
    ),
    ${current('items', meant)},
    ${LEASED},
    written AS (
      UPDATE items i SET
        type = COALESCE(t.type, i.type),
        title = COALESCE(t.title, i.title),
        data = CASE WHEN t.data IS NOT NULL THEN jsonb_merge_patch(i.data, t.data)
          ELSE COALESCE(t.replacement, i.data) END,
        version = i.version + 1,
        updated_at = now(),
        updated_by = t.principal_id
      FROM input t JOIN current c ON c.n = t.n
      WHERE i.id = c.id AND ${inWorkspaces('i.workspace_id', 'c.homes')}
        AND ${MAY_CHANGE} AND ${BECOMES_WRITABLE} AND ${HOLDS_LEASE}
      RETURNING i.*
    ), ${changes(ITEM_UPDATED)}
    ${CHANGED_UNDER_LEASE}`,
  ),
};

/** To the trash. The event of a deletion carries the record as it was, with the version that ended it. */
export const DELETE_ITEMS: CombinableWrite<ChangeInput> = {
  keyOf: (input) => input.id,
  ...changeItems(
    'items.delete',
    (meant) => `
    WITH input AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(
        n int, id uuid, homes uuid[], event_id uuid, principal_id uuid, if_match int[], conditional boolean,
        writable text[], lease uuid)
    ),
    ${current('items', meant)},
    ${LEASED},
    written AS (
      DELETE FROM items i USING input t JOIN current c ON c.n = t.n
      WHERE i.id = c.id AND ${inWorkspaces('i.workspace_id', 'c.homes')} AND ${MAY_CHANGE} AND ${HOLDS_LEASE}
      RETURNING i.id, i.workspace_id, i.type, i.title, i.data, i.version + 1 AS version,
        i.created_at, i.created_by, now() AS updated_at, t.principal_id AS updated_by
    ),
    trashed AS (
      INSERT INTO trashed_items (id, workspace_id, type, title, data, version, created_at, created_by, deleted_by)
      SELECT id, workspace_id, type, title, data, version, created_at, created_by, updated_by FROM written
    ), ${changes(ITEM_DELETED)}
    ${CHANGED_UNDER_LEASE}`,
  ),
};
