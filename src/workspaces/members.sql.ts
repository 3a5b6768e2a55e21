import type { MemberRow } from './members.dto.js';
import { workspaceList } from './workspace-list.js';

const MEMBER = `m.principal_id, u.email, u.name, m.role, m.version::text, m.created_at::text, m.updated_at::text
  FROM memberships m LEFT JOIN users u ON u.id = m.principal_id`;
/** Agents are listed, changed and deleted as agents. */
const IS_PERSON = `m.role NOT IN ('agent', 'suspended')`;

export const LIST_MEMBERS = workspaceList<MemberRow>({
  name: 'members.list',
  select: `${MEMBER} WHERE m.workspace_id = me.workspace_id AND ${IS_PERSON}`,
  key: 'principal_id',
  keyColumn: 'm.principal_id',
});

export const READ_MEMBER = `SELECT ${MEMBER} WHERE m.workspace_id = $1 AND m.principal_id = $2 AND ${IS_PERSON}`;

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
