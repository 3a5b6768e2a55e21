import type { Statement } from '../database/pipelined-statements.js';
import type { InvitationRow } from './invitations.dto.js';
import { workspaceList } from './workspace-list.js';

const INVITATION = `i.id, i.workspace_id, i.email, i.role, i.invited_by, i.created_at::text, i.expires_at::text`;

export const LIST_INVITATIONS = workspaceList<InvitationRow>({
  name: 'invitations.list',
  select: `${INVITATION} FROM invitations i WHERE i.workspace_id = me.workspace_id AND i.expires_at > now()`,
  key: 'id',
  keyColumn: 'i.id',
});

export const IS_MEMBER = `SELECT 1 FROM memberships m JOIN users u ON u.id = m.principal_id
  WHERE m.workspace_id = $1 AND u.email = $2`;

export const DELETE_EXPIRED = `DELETE FROM invitations WHERE workspace_id = $1 AND expires_at <= now()`;

/** $2: an invitation's id or address. */
export const FIND = `SELECT id, role FROM invitations
  WHERE workspace_id = $1 AND (id::text = $2 OR email = $2) AND expires_at > now()`;

export const DELETE = `DELETE FROM invitations WHERE id = $1`;

export const INSERT = `INSERT INTO invitations AS i (id, workspace_id, email, role, token_hash, invited_by, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
  RETURNING ${INVITATION}`;

/** What its mail says, of an open invitation that has this token now. */
export const INVITED: Statement = {
  name: 'invitations.invited',
  text: `UPDATE invitations i SET token_hash = $2 FROM workspaces w
    WHERE i.id = $1 AND i.expires_at > now() AND w.id = i.workspace_id
    RETURNING i.email, i.role, w.name AS workspace`,
};

export const WORKSPACE_OF = `SELECT workspace_id FROM invitations WHERE token_hash = $1`;

export const LOCK_ACCEPTING = `SELECT email FROM users WHERE id = $1 FOR NO KEY UPDATE`;

export const LOCK_INVITING = `SELECT 1 FROM workspaces WHERE id = $1 FOR NO KEY UPDATE`;

export const FIND_BY_TOKEN = `SELECT id, email, role FROM invitations WHERE token_hash = $1 AND expires_at > now()`;

/** The mail reached the address, and somebody who is signed in with it has what was in the mail. */
export const PROVE_ADDRESS = `UPDATE users SET email_verified_at = now(), version = version + 1, updated_at = now()
  WHERE id = $1 AND email_verified_at IS NULL`;
