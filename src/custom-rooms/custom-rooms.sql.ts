import type { Statement } from '../database/pipelined-statements.js';
import { maySql } from '../workspaces/permissions.js';

const COLUMNS = `r.id, r.workspace_id, r.name, r.visibility, r.version::text, r.created_at::text, r.created_by,
  r.updated_at::text, r.updated_by, r.closed_at::text`;

/** The caller's own role in the room, if there is one; `m` is the caller's membership of the workspace. */
const OWN_ROLE = `LEFT JOIN room_members rm ON rm.room_id = r.id AND rm.principal_id = m.principal_id`;

/** A room with what its caller, the second parameter, is in its workspace and in itself. */
export const ROOM_OF_CALLER = `rooms r
  JOIN memberships m ON m.workspace_id = r.workspace_id AND m.principal_id = $2 AND ${maySql('m.role', 'rooms:read')}
  ${OWN_ROLE}`;

/** Who hears what is said: every member of the workspace, or the room's own. */
export const MAY_HEAR = `(r.visibility = 'public' OR rm.role IS NOT NULL)`;
/** Who knows of the room: those, and whoever manages all rooms of the workspace. */
export const MAY_SEE = `(${MAY_HEAR} OR ${maySql('m.role', 'rooms:manage')})`;

const MODERATES = `(${maySql('m.role', 'rooms:manage')}
  OR (rm.role = 'moderator' AND ${maySql('m.role', 'rooms:moderate')})) IS TRUE`;
/** A viewer of the workspace only listens, whatever the room says. */
const SPEAKS = `(${maySql('m.role', 'rooms:publish')}
  AND COALESCE(rm.role IN ('moderator', 'speaker'), r.visibility = 'public'))`;

export const READ_ROOM: Statement = {
  name: 'rooms.read',
  text: `SELECT ${COLUMNS}, s.head FROM ${ROOM_OF_CALLER} JOIN streams s ON s.id = r.workspace_id
    WHERE r.id = $1 AND ${MAY_SEE}`,
};

/** What a principal may do in a room, with the position of the stream as of which that is so. */
export const AUTHORISE: Statement = {
  name: 'rooms.authorise',
  text: `SELECT r.workspace_id, s.head, r.closed_at, ${SPEAKS} AS speaks
    FROM ${ROOM_OF_CALLER} JOIN streams s ON s.id = r.workspace_id
    WHERE r.id = $1 AND ${MAY_HEAR}`,
};

/** The newest rooms of a workspace. No row: not a member. One row without a room: none left. */
export const LIST_ROOMS: Statement = {
  name: 'rooms.list',
  text: `SELECT s.head, found.* FROM memberships m
    JOIN streams s ON s.id = m.workspace_id
    LEFT JOIN LATERAL (
      SELECT ${COLUMNS} FROM rooms r ${OWN_ROLE}
      WHERE r.workspace_id = m.workspace_id AND (r.closed_at IS NOT NULL) = $5::boolean
        AND r.id < COALESCE($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') AND ${MAY_SEE}
      ORDER BY r.id DESC LIMIT $4
    ) found ON true
    WHERE m.principal_id = $1 AND ${maySql('m.role', 'rooms:read')}
      AND m.workspace_id = COALESCE($2::uuid, (SELECT w.id FROM workspaces w WHERE w.personal_user_id = $1))
    ORDER BY found.id DESC`,
};

export const PERSONAL_WORKSPACE = `SELECT id FROM workspaces WHERE personal_user_id = $1`;

export const WORKSPACE_OF = `SELECT r.workspace_id FROM ${ROOM_OF_CALLER} WHERE r.id = $1 AND ${MAY_SEE}`;

export const LOCKED_ROOM = `SELECT ${COLUMNS}, ${MODERATES} AS moderates FROM ${ROOM_OF_CALLER}
  WHERE r.id = $1 AND ${MAY_SEE}`;

export const WRITTEN_ROOM = `SELECT ${COLUMNS} FROM rooms r WHERE r.id = $1`;

export const COUNT_OPEN = `SELECT count(*)::int AS open FROM rooms WHERE workspace_id = $1 AND closed_at IS NULL`;

export const RENAME_ROOM = `UPDATE rooms
  SET name = $2, version = version + 1, updated_at = now(), updated_by = $3 WHERE id = $1`;

export const CLOSE_ROOM = `UPDATE rooms
  SET closed_at = now(), version = version + 1, updated_at = now(), updated_by = $2 WHERE id = $1`;
