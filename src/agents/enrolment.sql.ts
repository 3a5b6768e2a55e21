import { maySql } from '../workspaces/permissions.js';
import { workspaceList } from '../workspaces/workspace-list.js';
import { ENROLMENT_COLUMNS, type EnrolmentTokenRow } from './enrolment.dto.js';

export const LIST_ENROLMENT_TOKENS = workspaceList<EnrolmentTokenRow>({
  name: 'agents.enrolment_tokens',
  select: `${ENROLMENT_COLUMNS} FROM agent_enrolment_tokens t
    WHERE t.workspace_id = me.workspace_id AND t.expires_at > now() AND t.uses < t.max_uses`,
  key: 'id',
  keyColumn: 't.id',
  newestFirst: true,
});

/** Takes those along that are good no more. */
export const INSERT_ENROLMENT_TOKEN = `WITH gone AS (
    DELETE FROM agent_enrolment_tokens WHERE workspace_id = $2 AND (expires_at <= now() OR uses >= max_uses)
  )
  INSERT INTO agent_enrolment_tokens AS t
    (id, workspace_id, hash, kind, labels, scopes, max_uses, created_by, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9::float8))
  RETURNING ${ENROLMENT_COLUMNS}`;

export const COUNT_ENROLMENT_TOKENS = `SELECT count(*)::int AS tokens FROM agent_enrolment_tokens
  WHERE workspace_id = $1 AND expires_at > now() AND uses < max_uses`;

export const WORKSPACE_OF_TOKEN = `SELECT t.workspace_id FROM agent_enrolment_tokens t
  JOIN memberships m ON m.workspace_id = t.workspace_id AND m.principal_id = $2
  WHERE t.id = $1`;

export const DELETE_ENROLMENT_TOKEN = `DELETE FROM agent_enrolment_tokens t WHERE t.id = $1
  RETURNING ${ENROLMENT_COLUMNS}`;

export const WORKSPACE_OF_HASH = `SELECT workspace_id FROM agent_enrolment_tokens WHERE hash = $1`;

/** Nobody changes who may manage agents there while one comes. */
export const LOCK_ENROLLING = `SELECT 1 FROM workspaces WHERE id = $1 FOR NO KEY UPDATE`;

/** Of several who try at once, as many as there are uses succeed; a token does not outlive its maker's right. */
export const USE_ENROLMENT_TOKEN = `UPDATE agent_enrolment_tokens t SET uses = uses + 1
  FROM memberships m
  WHERE t.hash = $1 AND t.expires_at > now() AND t.uses < t.max_uses
    AND m.workspace_id = t.workspace_id AND m.principal_id = t.created_by AND ${maySql('m.role', 'agents:manage')}
  RETURNING ${ENROLMENT_COLUMNS}`;
