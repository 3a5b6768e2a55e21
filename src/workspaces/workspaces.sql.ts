import type { Statement } from '../database/pipelined-statements.js';

const COLUMNS = `w.id, w.name, (w.personal_user_id = m.principal_id) IS TRUE AS personal, m.role, w.require_if_match,
  w.language, w.version,
  w.created_at, w.updated_at`;

export const READ_WORKSPACE: Statement = {
  name: 'workspaces.read',
  text: `SELECT ${COLUMNS}, s.head FROM workspaces w
    JOIN memberships m ON m.workspace_id = w.id AND m.principal_id = $2
    JOIN streams s ON s.id = w.id
    WHERE w.id = $1 AND m.role = ANY ($3)`,
};

export const LIST_WORKSPACES: Statement = {
  name: 'workspaces.list',
  text: `SELECT ${COLUMNS} FROM memberships m JOIN workspaces w ON w.id = m.workspace_id
    WHERE m.principal_id = $1 AND ($2::uuid IS NULL OR w.id > $2)
    ORDER BY w.id LIMIT $3`,
};

/** {@link READ_WORKSPACE} within a transaction, every column as text too. */
export const WRITTEN_WORKSPACE = `SELECT w.id, w.name,
    CASE WHEN w.personal_user_id = m.principal_id THEN 't' ELSE 'f' END AS personal, m.role,
    CASE WHEN w.require_if_match THEN 't' ELSE 'f' END AS require_if_match, w.language, w.version::text,
    w.created_at::text, w.updated_at::text
  FROM workspaces w JOIN memberships m ON m.workspace_id = w.id AND m.principal_id = $2 WHERE w.id = $1`;

/** What is null stays. Items that the old language indexed are found by it until they are indexed anew. */
export const UPDATE_WORKSPACE = `UPDATE workspaces SET name = COALESCE($2, name),
    require_if_match = COALESCE($3, require_if_match),
    search_languages = CASE WHEN language = COALESCE($4::text, language) THEN search_languages
      ELSE array_append(array_remove(search_languages, $4::text), $4::text) END,
    language_changed_at = CASE WHEN language = COALESCE($4::text, language) THEN language_changed_at ELSE now() END,
    language = COALESCE($4::text, language),
    version = version + 1, updated_at = now()
  WHERE id = $1`;
