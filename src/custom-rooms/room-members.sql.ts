import type { Statement } from '../database/pipelined-statements.js';
import { MAY_SEE, ROOM_OF_CALLER } from './custom-rooms.sql.js';

const MEMBER = `x.principal_id, CASE WHEN a.id IS NULL THEN 'user' ELSE 'agent' END AS kind, u.email,
  COALESCE(u.name, a.name) AS name, x.role, x.version::text, x.created_at::text, x.updated_at::text
  FROM room_members x LEFT JOIN users u ON u.id = x.principal_id LEFT JOIN agents a ON a.id = x.principal_id`;

/** No row: no such room for the caller. One row without a principal: none left. */
export const LIST_ROOM_MEMBERS: Statement = {
  name: 'rooms.members',
  text: `SELECT found.* FROM ${ROOM_OF_CALLER}
    LEFT JOIN LATERAL (
      SELECT ${MEMBER} WHERE x.room_id = r.id AND ($3::uuid IS NULL OR x.principal_id > $3)
      ORDER BY x.principal_id LIMIT $4
    ) found ON true
    WHERE r.id = $1 AND ${MAY_SEE} ORDER BY found.principal_id`,
};

export const READ_ROOM_MEMBER = `SELECT ${MEMBER} WHERE x.room_id = $1 AND x.principal_id = $2`;

export const COUNT_ROOM_MEMBERS = `SELECT count(*)::int AS members FROM room_members WHERE room_id = $1`;

/** Only who is in the workspace. */
export const ADD_ROOM_MEMBER = `INSERT INTO room_members (room_id, workspace_id, principal_id, role)
  SELECT $1, m.workspace_id, m.principal_id, $4 FROM memberships m
  WHERE m.workspace_id = $2 AND m.principal_id = $3`;

export const UPDATE_ROOM_MEMBER = `UPDATE room_members SET role = $3, version = version + 1, updated_at = now()
  WHERE room_id = $1 AND principal_id = $2`;

export const REMOVE_ROOM_MEMBER = `DELETE FROM room_members WHERE room_id = $1 AND principal_id = $2`;

/** All that a principal is in rooms of some workspaces. */
export const REMOVE_FROM_ROOMS = `DELETE FROM room_members x USING rooms r
  WHERE x.principal_id = $1 AND x.workspace_id = ANY ($2) AND r.id = x.room_id
  RETURNING r.id, r.workspace_id, r.closed_at IS NULL AS open, x.principal_id, x.role, (x.version + 1)::text AS version`;

/** Whether anybody else moderates the room. */
export const OTHER_MODERATOR = `SELECT 1 FROM room_members
  WHERE room_id = $1 AND role = 'moderator' AND principal_id <> $2 LIMIT 1`;
