import type { Statement } from '../database/pipelined-statements.js';
import { maySql } from '../workspaces/permissions.js';

const COLUMNS = `a.id, a.workspace_id, a.name, a.kind, a.labels::text, a.metadata::text,
  array_to_json(a.capabilities)::text AS capabilities, array_to_json(a.scopes)::text AS scopes, a.status,
  a.last_seen_at::text, a.version::text, a.created_at::text, a.created_by, a.updated_at::text, a.updated_by`;

/** An agent with what its caller, the second parameter, is in its workspace. */
const AGENT_OF_CALLER = `agents a
  JOIN memberships m ON m.workspace_id = a.workspace_id AND m.principal_id = $2 AND ${maySql('m.role', 'agents:read')}`;

export const READ_AGENT: Statement = {
  name: 'agents.read',
  text: `SELECT ${COLUMNS}, s.head FROM ${AGENT_OF_CALLER} JOIN streams s ON s.id = a.workspace_id WHERE a.id = $1`,
};

/** Who may join an agent's room, with the position of the stream as of which that is so. */
export const AUTHORISE: Statement = {
  name: 'agents.authorise',
  text: `SELECT a.workspace_id, m.role, s.head FROM ${AGENT_OF_CALLER} JOIN streams s ON s.id = a.workspace_id
    WHERE a.id = $1`,
};

/** The newest agents of a workspace. No row: not a member. One row without an agent: none left. */
export const LIST_AGENTS: Statement = {
  name: 'agents.list',
  text: `SELECT s.head, found.* FROM memberships m
    JOIN streams s ON s.id = m.workspace_id
    LEFT JOIN LATERAL (
      SELECT ${COLUMNS} FROM agents a
      WHERE a.workspace_id = m.workspace_id
        AND a.id < COALESCE($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        AND ($5::text IS NULL OR a.kind = $5) AND ($6::text IS NULL OR a.status = $6)
        AND ($7::jsonb IS NULL OR a.labels @> $7)
      ORDER BY a.id DESC LIMIT $4
    ) found ON true
    WHERE m.principal_id = $1 AND ${maySql('m.role', 'agents:read')}
      AND m.workspace_id = COALESCE($2::uuid, (SELECT w.id FROM workspaces w WHERE w.personal_user_id = $1))
    ORDER BY found.id DESC`,
};

export const PERSONAL_WORKSPACE = `SELECT id FROM workspaces WHERE personal_user_id = $1`;

export const WORKSPACE_OF = `SELECT a.workspace_id FROM ${AGENT_OF_CALLER} WHERE a.id = $1`;

/** Whoever asks. */
export const LOCK_WORKSPACE_OF = `SELECT 1 FROM workspaces w JOIN agents a ON a.workspace_id = w.id WHERE a.id = $1
  FOR NO KEY UPDATE OF w`;

export const COUNT_AGENTS = `SELECT count(*)::int AS agents FROM agents WHERE workspace_id = $1`;

export const LOCK_AGENT = `SELECT ${COLUMNS} FROM agents a WHERE a.id = $1 FOR NO KEY UPDATE`;

export const INSERT_AGENT = `INSERT INTO agents AS a
    (id, workspace_id, name, kind, labels, metadata, capabilities, scopes, created_by, updated_by)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) RETURNING ${COLUMNS}`;

export const UPDATE_AGENT = `UPDATE agents a SET name = $2, kind = $3, labels = $4, metadata = $5, capabilities = $6,
    scopes = $7, status = $8, version = version + 1, updated_at = now(), updated_by = $9
  WHERE id = $1 RETURNING ${COLUMNS}`;

/** What a disabled agent is in its workspace: nobody who may anything. */
export const SET_ROLE = `UPDATE memberships SET role = $3, version = version + 1, updated_at = now()
  WHERE workspace_id = $1 AND principal_id = $2`;

export const DELETE_AGENT = `DELETE FROM agents WHERE id = $1`;

export const DELETE_MEMBERSHIP = `DELETE FROM memberships WHERE workspace_id = $1 AND principal_id = $2`;
