import type { Statement } from '../database/pipelined-statements.js';

const MEMBER = `m.principal_id, u.email, u.name, m.role, m.version::text, m.created_at::text, m.updated_at::text
  FROM memberships m LEFT JOIN users u ON u.id = m.principal_id`;

/** No row: the caller is no member. One row without a principal: none left, or none that the role may see. */
export const LIST_MEMBERS: Statement = {
  name: 'members.list',
  text: `SELECT me.role = ANY ($5) AS allowed, found.* FROM memberships me
    LEFT JOIN LATERAL (
      SELECT ${MEMBER}
      WHERE m.workspace_id = me.workspace_id AND ($3::uuid IS NULL OR m.principal_id > $3)
      ORDER BY m.principal_id LIMIT $4
    ) found ON me.role = ANY ($5)
    WHERE me.workspace_id = $1 AND me.principal_id = $2 ORDER BY found.principal_id`,
};

export const READ_MEMBER = `SELECT ${MEMBER} WHERE m.workspace_id = $1 AND m.principal_id = $2`;

/** Whether anybody else owns the workspace. */
export const OTHER_OWNER = `SELECT 1 FROM memberships
  WHERE workspace_id = $1 AND role = 'owner' AND principal_id <> $2 LIMIT 1`;

export const UPDATE_MEMBER = `UPDATE memberships SET role = $3, version = version + 1, updated_at = now()
  WHERE workspace_id = $1 AND principal_id = $2`;

/** A workspace's representation names the reader's role, so its version moves with it. */
export const TOUCH_WORKSPACE = `UPDATE workspaces SET version = version + 1, updated_at = now() WHERE id = $1`;

export const REMOVE_MEMBER = `DELETE FROM memberships WHERE workspace_id = $1 AND principal_id = $2`;

/** Whoever may not invite for such a role any more has not done so either. */
export const WITHDRAW_INVITATIONS = `DELETE FROM invitations
  WHERE workspace_id = $1 AND invited_by = $2 AND role <> ALL ($3)`;
