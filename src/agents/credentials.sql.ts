import type { Statement } from '../database/pipelined-statements.js';
import { maySql } from '../workspaces/permissions.js';
import { CREDENTIAL_COLUMNS } from './credentials.dto.js';

/** For whoever manages agents, and for the agent itself. No row: no such agent; one without a credential: none left. */
export const LIST_CREDENTIALS: Statement = {
  name: 'agents.credentials',
  text: `SELECT (${maySql('m.role', 'agents:manage')} OR a.id = $2) AS allowed, found.* FROM agents a
    JOIN memberships m ON m.workspace_id = a.workspace_id AND m.principal_id = $2
      AND ${maySql('m.role', 'agents:read')}
    LEFT JOIN LATERAL (
      SELECT ${CREDENTIAL_COLUMNS} FROM agent_credentials c WHERE c.agent_id = a.id ORDER BY c.id
    ) found ON true
    WHERE a.id = $1 ORDER BY found.id`,
};

/** All credentials of a locked agent; those that ended long ago go. */
export const LOCK_CREDENTIALS = `WITH forgotten AS (
    DELETE FROM agent_credentials WHERE agent_id = $1 AND expires_at < now() - interval '30 days'
  )
  SELECT ${CREDENTIAL_COLUMNS}, c.expires_at <= clock_timestamp() AS ended,
    extract(epoch FROM c.expires_at - c.created_at)::float8 AS lifetime
  FROM agent_credentials c
  WHERE c.agent_id = $1 AND (c.expires_at IS NULL OR c.expires_at >= now() - interval '30 days') ORDER BY c.id`;

export const INSERT_CREDENTIAL = `INSERT INTO agent_credentials AS c
    (id, agent_id, kind, name, session_id, secret_hash, public_key, created_by, expires_at)
  VALUES ($1, $2, $3, $4, gen_random_uuid(), $5, $6, $7, now() + make_interval(secs => $8::float8))
  RETURNING ${CREDENTIAL_COLUMNS}`;

/** Another takes its place: it ends then, unless it does so before. */
export const END_AFTER = `UPDATE agent_credentials AS c
  SET expires_at = least(expires_at, now() + make_interval(secs => $2::float8)), replaced_at = now()
  WHERE id = $1 RETURNING ${CREDENTIAL_COLUMNS}`;

export const SET_END = `UPDATE agent_credentials AS c SET expires_at = $2 WHERE id = $1
  RETURNING ${CREDENTIAL_COLUMNS}, c.expires_at <= now() AS ended`;

export const DELETE_CREDENTIAL = `DELETE FROM agent_credentials WHERE id = $1`;

/** When the credential ends that a token was given by, once another took its place or two thirds of its time are over. */
export const ROTATION: Statement = {
  name: 'agents.rotation',
  text: `SELECT c.expires_at FROM agent_credentials c
    WHERE c.agent_id = $1 AND c.session_id = $2 AND c.expires_at IS NOT NULL
      AND (c.replaced_at IS NOT NULL OR now() > c.created_at + (c.expires_at - c.created_at) * 2 / 3)`,
};
