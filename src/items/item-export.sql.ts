import { maySql } from '../workspaces/permissions.js';
import { filterSql, SqlParameters } from './item-conditions.sql.js';
import type { ItemField, ItemListQuery } from './item-list.query.js';
import { type BuiltStatement, COLUMN_OF, orderOf } from './item-list.sql.js';
import { type ListedWorkspace, searchSql } from './item-search.sql.js';

/** The workspace that an export is of, if the caller may read it, with the position of its stream. */
export const EXPORTED_WORKSPACE = `SELECT w.id, array_to_string(w.search_languages, ',') AS languages, s.head
  FROM memberships m JOIN workspaces w ON w.id = m.workspace_id JOIN streams s ON s.id = w.id
  WHERE m.principal_id = $1 AND ${maySql('m.role', 'items:read')} AND m.workspace_id =
    COALESCE($2::uuid, (SELECT o.id FROM workspaces o WHERE o.personal_user_id = $1))`;

/** All items of a list, in its order; none for whoever is no member. */
export function exportStatement(
  principalId: string,
  workspace: ListedWorkspace,
  query: ItemListQuery,
  fields: readonly ItemField[],
): BuiltStatement {
  const parameters = new SqlParameters();
  const workspaceId = parameters.add(workspace.id, 'uuid');
  const search = query.search === undefined ? undefined : searchSql(parameters, workspace, query.search);
  const conditions = [
    `i.workspace_id = ${workspaceId}`,
    `EXISTS (SELECT FROM memberships m WHERE m.workspace_id = ${workspaceId}
      AND m.principal_id = ${parameters.add(principalId, 'uuid')} AND ${maySql('m.role', 'items:read')})`,
    ...(search ? [search.condition] : []),
    ...filterSql(parameters, query.filter),
  ];
  const order = orderOf(query, search?.rank ?? '', parameters);
  const text = `SELECT ${fields.map((field) => `i.${COLUMN_OF[field]}`).join(', ')} FROM items i
    WHERE ${conditions.join(' AND ')}
    ORDER BY ${order.map(({ sql, descending }) => `${sql} ${descending ? 'DESC' : 'ASC'}`).join(', ')}`;
  return { text, values: parameters.values };
}
