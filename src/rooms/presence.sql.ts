import type { Statement } from '../database/pipelined-statements.js';

/** An instance that has not said for this long that it is there, is not; its sockets have gone with it. */
export const DEAD_SECONDS = 15;
/** Whether a row of `instances` is of one that is there. */
export const isThereSql = (row: string): string =>
  `${row}.seen_at > now() - make_interval(secs => ${DEAD_SECONDS})`;
/** How long it stays known that somebody left: several times what an instance takes to look again. */
const FORGET_SECONDS = 120;
/** How far back an instance looks for what it was not told of. */
const LOOK_BACK_SECONDS = 30;

/** One entry as its own instance writes it. */
export interface PresenceInput {
  readonly room: string;
  readonly principal_id: string;
  readonly kind: 'user' | 'agent';
  readonly connections: number;
  readonly state: object;
  readonly state_at: number;
}

/** What an instance reads of the others' entries; every column as text. */
export interface PresenceRow {
  readonly room: string;
  readonly principal_id: string;
  readonly kind: 'user' | 'agent';
  readonly connections: string;
  readonly state: string;
  readonly state_at: string;
  readonly name: string | null;
}

/** How people, and agents of a workspace, are called: to be joined to rows that have their ids. */
const namedBy = (id: string, workspace: string): string =>
  `LEFT JOIN users u ON u.id = ${id} LEFT JOIN agents a ON a.id = ${id} AND a.workspace_id = ${workspace}`;
const NAME = 'COALESCE(u.name, a.name) AS name';

/** The names of the principals `$1`, of which agents belong to the workspaces `$2`; null for people. */
export const PRINCIPAL_NAMES: Statement = {
  name: 'presences.names',
  text: `SELECT p.id, ${NAME} FROM unnest($1::uuid[], $2::uuid[]) AS p(id, workspace_id)
    ${namedBy('p.id', 'p.workspace_id')}`,
};

/** Entries of this instance: `$1` its id, `$2` a JSON array of {@link PresenceInput}. */
export const WRITE_PRESENCES: Statement = {
  name: 'presences.write',
  text: `INSERT INTO presences (instance_id, room, principal_id, kind, connections, state, state_at)
    SELECT $1::uuid, t.* FROM jsonb_to_recordset($2::jsonb) AS t(
      room text, principal_id uuid, kind text, connections int, state jsonb, state_at bigint)
    ON CONFLICT (room, principal_id, instance_id) DO UPDATE SET
      connections = excluded.connections, state = excluded.state, state_at = excluded.state_at, changed_at = now()`,
};

/** Who is in the rooms `$2`, of the workspaces `$3`, through other instances than `$1`. */
export const READ_PRESENCES: Statement = {
  name: 'presences.read',
  text: `SELECT p.room, p.principal_id, p.kind, p.connections, p.state, p.state_at, ${NAME}
    FROM unnest($2::text[], $3::uuid[]) AS r(room, workspace_id)
    JOIN presences p ON p.room = r.room AND p.instance_id <> $1 AND p.connections > 0
    JOIN instances i ON i.id = p.instance_id AND ${isThereSql('i')}
    ${namedBy('p.principal_id', 'r.workspace_id')}`,
};

/** Says that the instance `$1` is there. Answers whether the database had not heard of it. */
export const BEAT: Statement = {
  name: 'instances.beat',
  text: `INSERT INTO instances (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seen_at = now()
    RETURNING (xmax = 0)::text AS is_new`,
};

/** Rooms in which something changed lately at other instances than `$1`. */
export const CHANGED_ROOMS: Statement = {
  name: 'presences.changed_rooms',
  text: `SELECT DISTINCT room FROM presences
    WHERE changed_at > now() - make_interval(secs => ${LOOK_BACK_SECONDS}) AND instance_id <> $1`,
};

/** Takes those out of their rooms whose instance has died. */
export const BURY_DEAD: Statement = {
  name: 'presences.bury_dead',
  text: `UPDATE presences p SET connections = 0, changed_at = now()
    WHERE p.connections > 0 AND NOT EXISTS (
      SELECT FROM instances i WHERE i.id = p.instance_id AND ${isThereSql('i')})`,
};

/** Removes what nobody needs to hear of any more. */
export const FORGET: Statement = {
  name: 'presences.forget',
  text: `WITH gone AS (
      DELETE FROM instances WHERE seen_at < now() - make_interval(secs => ${FORGET_SECONDS})
    )
    DELETE FROM presences
    WHERE connections = 0 AND changed_at < now() - make_interval(secs => ${FORGET_SECONDS})`,
};

/** An instance that stops takes its own out at once. */
export const WITHDRAW: Statement = {
  name: 'instances.withdraw',
  text: `WITH gone AS (DELETE FROM instances WHERE id = $1)
    UPDATE presences SET connections = 0, changed_at = now() WHERE instance_id = $1 AND connections > 0
    RETURNING room`,
};
