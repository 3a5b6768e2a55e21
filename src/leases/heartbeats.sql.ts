import { rfc3339Sql } from '../common/rfc3339.js';
import type { Statement } from '../database/pipelined-statements.js';
import { APPEND_CTES } from '../events/append.sql.js';
import type { CombinableWrite } from '../events/write-combiner.js';
import { DEAD_SECONDS, isThereSql } from '../rooms/presence.sql.js';
import { maySql, membershipOf } from '../workspaces/permissions.js';
import { AGENT_LOST, AGENT_OFFLINE, AGENT_ONLINE, appendedEvents } from './leases.events.js';

/** What is heard of an agent. */
export type Sign =
  /** It says that it is there. */
  | 'here'
  /** It says goodbye. */
  | 'leaving'
  /** Its last socket at an instance was closed by itself, as a goodbye, or otherwise: then it may come back. */
  | 'closed'
  | 'broken';

export interface HeartbeatInput {
  readonly agent_id: string;
  /** As the agent's token names it. */
  readonly workspace_id: string;
  readonly event_id: string;
  readonly sign: Sign;
  /** Whose socket it is about; by POST when left out. */
  readonly instance_id: string | undefined;
  /** For so many seconds it counts as there. */
  readonly patience: number;
  /** Leases that it holds, as it thinks; all that it holds and has received when left out. */
  readonly leases: readonly string[] | undefined;
  /** How long they are to last from now on, in seconds. */
  readonly ttl: number;
}

const data = (row: string): string =>
  `jsonb_build_object('id', ${row}.agent_id, 'workspaceId', ${row}.workspace_id, 'state', ${row}.state)`;

/** How long an agent whose socket broke may take to come back: as long as an instance to count as gone. */
const COMING_BACK = `make_interval(secs => ${DEAD_SECONDS})`;
/** Whether the agent has a socket at another instance that is there. */
const ELSEWHERE = `EXISTS (
        SELECT FROM instances i WHERE i.id = ANY (p.connected) AND i.id <> t.instance_id AND ${isThereSql('i')})`;

/**
 * What agents say of themselves, and what their sockets say of them. Whoever finds that an agent has come or gone says
 * so under the lock of its row, so of two that do one tells the stream. The last word counts: an agent that spoke by a
 * socket goes with its sockets, one that spoke by POST does not.
 */
export const HEARTBEATS: CombinableWrite<HeartbeatInput> = {
  // Also keeps what is heard of one agent in order.
  keyOf: (input) => input.agent_id,
  statement: {
    name: 'leases.heartbeats',
    text: `
    WITH input AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(
        n int, agent_id uuid, workspace_id uuid, event_id uuid, sign text, instance_id uuid, patience int,
        leases uuid[], ttl int)
    ),
    allowed AS MATERIALIZED (
      SELECT t.*, now() + t.patience * interval '1 second' AS due_at
      FROM input t JOIN agents a ON a.id = t.agent_id AND a.workspace_id = t.workspace_id
      WHERE t.sign IN ('closed', 'broken') OR EXISTS (
        SELECT FROM ${membershipOf('a.workspace_id', 'a.id')} m WHERE ${maySql('m.role', 'leases:hold')})
    ),
    noted AS (
      UPDATE agents a SET last_seen_at = now() FROM allowed t
      WHERE a.id = t.agent_id AND a.workspace_id = t.workspace_id AND t.sign IN ('here', 'leaving')
        AND (a.last_seen_at IS NULL OR a.last_seen_at < now() - interval '1 minute')
    ),
    known AS MATERIALIZED (
      SELECT p.* FROM agent_presences p JOIN allowed t ON t.agent_id = p.agent_id AND t.workspace_id = p.workspace_id
      ORDER BY p.agent_id FOR UPDATE OF p
    ),
    judged AS MATERIALIZED (
      SELECT t.*, p.state AS was, p.connected, p.due_at AS was_due_at, CASE
        WHEN t.sign IN ('here', 'leaving') THEN t.sign
        -- Nothing ends with the sockets of one that spoke by POST since, or has others.
        WHEN NOT t.instance_id = ANY (p.connected) OR ${ELSEWHERE} THEN 'stays'
        ELSE t.sign END AS outcome
      FROM allowed t JOIN known p ON p.agent_id = t.agent_id
    ),
    changed AS (
      UPDATE agent_presences p SET
        state = CASE WHEN j.outcome = 'here' THEN 'online'
          WHEN j.outcome IN ('leaving', 'closed') AND j.was = 'online' THEN 'offline' ELSE j.was END,
        due_at = CASE j.outcome WHEN 'here' THEN greatest(j.was_due_at, j.due_at)
          WHEN 'broken' THEN least(j.was_due_at, now() + ${COMING_BACK}) ELSE j.was_due_at END,
        connected = CASE
          WHEN j.outcome = 'stays' THEN array_remove(j.connected, j.instance_id)
          WHEN j.outcome <> 'here' OR j.instance_id IS NULL THEN '{}'
          WHEN j.instance_id = ANY (j.connected) THEN j.connected
          ELSE (SELECT COALESCE(array_agg(i.id), '{}') FROM instances i
            WHERE i.id = ANY (j.connected) AND ${isThereSql('i')}) || j.instance_id END
      FROM judged j WHERE p.agent_id = j.agent_id AND p.workspace_id = j.workspace_id
      RETURNING j.n, j.event_id, j.was, p.agent_id, p.workspace_id, p.state
    ),
    fresh AS (
      INSERT INTO agent_presences (agent_id, workspace_id, due_at, connected)
      SELECT t.agent_id, t.workspace_id, t.due_at, array_remove(ARRAY[t.instance_id], NULL) FROM allowed t
      WHERE t.sign = 'here' AND NOT EXISTS (SELECT FROM known p WHERE p.agent_id = t.agent_id)
      ORDER BY t.agent_id ON CONFLICT DO NOTHING RETURNING *
    ),
    extended AS (
      UPDATE lease_states l SET delivered = true,
        due_at = greatest(l.due_at, clock_timestamp() + t.ttl * interval '1 second')
      FROM allowed t
      WHERE l.agent_id = t.agent_id AND l.workspace_id = t.workspace_id AND l.state = 'leased'
        AND l.due_at > clock_timestamp() AND t.sign = 'here'
        AND CASE WHEN t.leases IS NULL THEN l.delivered ELSE l.lease_id = ANY (t.leases) END
      RETURNING t.n, l.lease_id, l.due_at
    ),
    changes AS MATERIALIZED (
      SELECT c.n, c.workspace_id AS stream_id, c.event_id,
        CASE c.state WHEN 'online' THEN '${AGENT_ONLINE}' ELSE '${AGENT_OFFLINE}' END AS type,
        'agents/' || c.agent_id AS subject, c.agent_id AS principal_id, ${data('c')} AS data
      FROM (
        SELECT n, event_id, agent_id, workspace_id, state FROM changed
        WHERE (was = 'online') <> (state = 'online')
        UNION ALL
        SELECT t.n, t.event_id, f.agent_id, f.workspace_id, f.state
        FROM fresh f JOIN allowed t ON t.agent_id = f.agent_id
      ) c
    ), ${APPEND_CTES}
    SELECT t.n, (a.n IS NULL)::text AS forbidden,
      (SELECT COALESCE(jsonb_agg(jsonb_build_object('id', e.lease_id, 'expiresAt', ${rfc3339Sql('e.due_at')})
        ORDER BY e.lease_id), '[]') FROM extended e WHERE e.n = t.n)::text AS leases,
      ${appendedEvents('c.n = t.n')} AS events
    FROM input t LEFT JOIN allowed a ON a.n = t.n`,
  },
};

/** So many agents that were not heard of in time, or whose sockets died with their instances, are lost. */
export const LOSE_AGENTS: Statement = {
  name: 'leases.lose_agents',
  text: `
    WITH dead AS MATERIALIZED (
      SELECT array_agg(i.id) AS ids FROM instances i WHERE NOT (${isThereSql('i')}) HAVING count(*) > 0
    ),
    silent AS MATERIALIZED (
      SELECT p.agent_id FROM agent_presences p WHERE p.state = 'online' AND p.due_at <= now()
      ORDER BY p.agent_id LIMIT $1 FOR UPDATE SKIP LOCKED
    ),
    orphaned AS MATERIALIZED (
      SELECT p.agent_id FROM dead d JOIN agent_presences p ON p.connected && d.ids
      WHERE p.state = 'online' AND NOT EXISTS (
        SELECT FROM instances i WHERE i.id = ANY (p.connected) AND ${isThereSql('i')})
      ORDER BY p.agent_id LIMIT $1 FOR UPDATE OF p SKIP LOCKED
    ),
    lost AS (
      UPDATE agent_presences p SET state = 'lost', connected = '{}'
      WHERE p.agent_id IN (SELECT agent_id FROM silent UNION SELECT agent_id FROM orphaned) RETURNING p.*
    ),
    changes AS MATERIALIZED (
      SELECT row_number() OVER (ORDER BY l.agent_id)::int AS n, l.workspace_id AS stream_id,
        gen_random_uuid() AS event_id, '${AGENT_LOST}' AS type, 'agents/' || l.agent_id AS subject,
        l.agent_id AS principal_id, ${data('l')} AS data
      FROM lost l
    ), ${APPEND_CTES}
    SELECT (SELECT count(*) FROM lost)::text AS lost, ${appendedEvents('true')} AS events`,
};

export const COUNT_ONLINE: Statement = {
  name: 'leases.count_online',
  text: `SELECT count(*)::text AS online FROM agent_presences WHERE state = 'online'`,
};
