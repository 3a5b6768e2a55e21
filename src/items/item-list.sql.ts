import type { Statement, StatementValue } from '../database/pipelined-statements.js';
import { maySql } from '../workspaces/permissions.js';
import { filterSql, SqlParameters } from './item-conditions.sql.js';
import type { ListPosition } from './item-cursors.js';
import type { ItemField, ItemListQuery, SortKey } from './item-list.query.js';
import { ITEM_COLUMNS } from './item-paths.js';
import { HIGHLIGHT_DATA, HIGHLIGHT_TITLE, type ListedWorkspace, searchSql } from './item-search.sql.js';
import { withinBytes } from './page-bytes.sql.js';

/** A statement that is put together for one request. */
export interface BuiltStatement {
  readonly text: string;
  readonly values: readonly StatementValue[];
}

/** The workspace that a list is of, if the caller may read it. */
export const LISTED_WORKSPACE: Statement = {
  name: 'items.listed_workspace',
  text: `SELECT w.id, array_to_string(w.search_languages, ',') AS languages
    FROM memberships m JOIN workspaces w ON w.id = m.workspace_id
    WHERE m.principal_id = $1 AND ${maySql('m.role', 'items:read')} AND m.workspace_id =
      COALESCE($2::uuid, (SELECT o.id FROM workspaces o WHERE o.personal_user_id = $1))`,
};

export interface OrderKey {
  readonly sql: string;
  readonly type: string;
  readonly descending: boolean;
}

/** What each member of the answer is in the table. */
export const COLUMN_OF: Readonly<Record<ItemField, string>> = {
  ...(Object.fromEntries(Object.entries(ITEM_COLUMNS).map(([name, { sql }]) => [name, sql])) as Record<
    keyof typeof ITEM_COLUMNS,
    string
  >),
  workspaceId: 'workspace_id',
  data: 'data',
};

/** Whether a page is read against the list's order, towards its beginning. */
export const isBackward = (position: ListPosition | undefined): boolean =>
  position?.mode === 'before' || position?.mode === 'upto';

/** How many sort keys, the id included, a cursor of this list holds. */
export const orderLength = (query: ItemListQuery): number => orderOf(query, '', new SqlParameters()).length;

/**
 * One page of a list, in the order in which it is read, with `head` of the stream and the sort keys as `k0`, `k1` …
 * No row: not a member any more. One row without an id: nothing found.
 */
export function listStatement(
  principalId: string,
  workspace: ListedWorkspace,
  query: ItemListQuery,
  position: ListPosition | undefined,
): BuiltStatement {
  const parameters = new SqlParameters();
  const principal = parameters.add(principalId, 'uuid');
  const workspaceId = parameters.add(workspace.id, 'uuid');
  const search = query.search === undefined ? undefined : searchSql(parameters, workspace, query.search);
  const conditions = [
    `i.workspace_id = ${workspaceId}`,
    ...(search ? [search.condition] : []),
    ...filterSql(parameters, query.filter),
  ];
  const order = orderOf(query, search?.rank ?? '', parameters);
  const backward = isBackward(position);
  const start = position ? [positionSql(parameters, order, position)] : [];
  const direction = (key: OrderKey) => (key.descending !== backward ? 'DESC' : 'ASC');
  const fields = new Set<ItemField>(query.fields ?? (Object.keys(COLUMN_OF) as ItemField[]));
  fields.add('id');
  if (search) fields.add('title').add('data');
  const page = `SELECT page.*, row_number() OVER () AS place FROM (
        SELECT ${[...fields].map((field) => `i.${COLUMN_OF[field]}`).join(', ')},
          ${order.map(({ sql }, n) => `(${sql})::text AS k${n}`).join(', ')}
        FROM items i WHERE ${[...conditions, ...start].join(' AND ')}
        ORDER BY ${order.map((key) => `${key.sql} ${direction(key)}`).join(', ')}
        LIMIT ${parameters.add(query.limit + 1, 'int')}
      ) page`;
  const isLong = fields.has('data');
  const shown = [
    ...[...fields].map((field) => (field === 'data' ? 'text AS data' : COLUMN_OF[field])),
    ...order.map((_, n) => `k${n}`),
  ];
  const text = `WITH me AS MATERIALIZED (
      SELECT s.head FROM memberships m JOIN streams s ON s.id = m.workspace_id
      WHERE m.principal_id = ${principal} AND m.workspace_id = ${workspaceId}
        AND ${maySql('m.role', 'items:read')}
    )
    SELECT me.head, ${shown.map((column) => `found.${column}`).join(', ')}
      ${search ? `, ${highlightSql(search.query, search.config, parameters)}` : ''}
      ${query.count === 'exact' ? `, (SELECT count(*) FROM items i WHERE ${conditions.join(' AND ')}) AS total` : ''}
    FROM me LEFT JOIN LATERAL (${isLong ? withinBytes(page, 'place') : page}) found ON true ORDER BY found.place`;
  return { text, values: parameters.values };
}

/** PostgreSQL's own estimate of how many records a list has on all pages, as its plan. */
export function estimateStatement(workspace: ListedWorkspace, query: ItemListQuery): BuiltStatement {
  const parameters = new SqlParameters();
  const conditions = [`i.workspace_id = ${parameters.add(workspace.id, 'uuid')}`];
  if (query.search !== undefined) conditions.push(searchSql(parameters, workspace, query.search).condition);
  conditions.push(...filterSql(parameters, query.filter));
  const text = `EXPLAIN (FORMAT JSON) SELECT 1 FROM items i WHERE ${conditions.join(' AND ')}`;
  return { text, values: parameters.values };
}

/** The keys that put the list in order. The id, always the last, goes the way of the one before it. */
export function orderOf(query: ItemListQuery, rank: string, parameters: SqlParameters): OrderKey[] {
  const id = (descending: boolean): OrderKey => ({ sql: 'i.id', type: 'uuid', descending });
  if (!query.sort && query.search !== undefined)
    return [{ sql: rank, type: 'real', descending: true }, id(true)];
  const keys = (query.sort ?? []).map((key) => orderKey(key, parameters));
  const last = keys.at(-1);
  return last?.sql === 'i.id' ? keys : [...keys, id(last?.descending ?? true)];
}

function orderKey({ path, descending }: SortKey, parameters: SqlParameters): OrderKey {
  if (path.kind === 'data')
    return {
      sql: `jsonb_sort_key(i.data #> ${parameters.add(path.keys, 'text[]')})`,
      type: 'jsonb',
      descending,
    };
  const { sql, type } = ITEM_COLUMNS[path.column];
  return { sql: `i.${sql}`, type, descending };
}

/** That a record lies beyond a place in the list. Keys of one direction are compared as a row, which an index serves. */
function positionSql(
  parameters: SqlParameters,
  order: readonly OrderKey[],
  { mode, keys }: ListPosition,
): string {
  const backward = mode === 'before' || mode === 'upto';
  const orEqual = mode === 'from' || mode === 'upto' ? '=' : '';
  const values = order.map(({ type }, n) => parameters.add(keys[n], type));
  const beyond = ({ descending }: OrderKey) => (descending !== backward ? '<' : '>');
  const [first] = order;
  if (order.every(({ descending }) => descending === first.descending))
    return `(${order.map(({ sql }) => sql).join(', ')}) ${beyond(first)}${orEqual} (${values.join(', ')})`;
  const steps = order.map((key, n) => {
    const equal = order.slice(0, n).map(({ sql }, m) => `${sql} = ${values[m]}`);
    const last = n === order.length - 1 ? orEqual : '';
    return `(${[...equal, `${key.sql} ${beyond(key)}${last} ${values[n]}`].join(' AND ')})`;
  });
  return `${first.sql} ${beyond(first)}= ${values[0]} AND (${steps.join(' OR ')})`;
}

function highlightSql(query: string, config: string, parameters: SqlParameters): string {
  const headline = (text: string, options: string) =>
    `ts_headline(${config}, translate(${text}, U&'\\E000\\E001', ''), ${query}, ${parameters.add(options, 'text')})`;
  return `${headline('found.title', HIGHLIGHT_TITLE)} AS title_highlight,
      ${headline('left(jsonb_texts(found.data), 20000)', HIGHLIGHT_DATA)} AS data_highlight`;
}
