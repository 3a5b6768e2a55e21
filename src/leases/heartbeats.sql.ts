import { rfc3339Sql } from '../common/rfc3339.js';
import type { Statement } from '../database/pipelined-statements.js';
import { APPEND_CTES } from '../events/append.sql.js';
import type { CombinableWrite } from '../events/write-combiner.js';
import { maySql, membershipOf } from '../workspaces/permissions.js';
import { AGENT_LOST, AGENT_OFFLINE, AGENT_ONLINE, appendedEvents } from './leases.events.js';

export interface HeartbeatInput {
  readonly agent_id: string;
  readonly event_id: string;
  /** Whether it says goodbye. */
  readonly leaving: boolean;
  /** For so many seconds it counts as there. */
  readonly patience: number;
  /** Leases that it holds, as it thinks; all that it holds when left out. */
  readonly leases: readonly string[] | undefined;
  /** How long they are to last from now on, in seconds. */
  readonly ttl: number;
}

const data = (row: string): string =>
  `jsonb_build_object('id', ${row}.agent_id, 'workspaceId', ${row}.workspace_id, 'state', ${row}.state)`;

/**
 * What agents say of themselves. Whoever finds an agent absent makes it present under the lock of its row, so of two
 * that do one tells the stream.
 */
export const HEARTBEATS: CombinableWrite<HeartbeatInput> = {
  keyOf: (input) => input.agent_id,
  statement: {
    name: 'leases.heartbeats',
    text: `
    WITH input AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(
        n int, agent_id uuid, event_id uuid, leaving boolean, patience int, leases uuid[], ttl int)
    ),
    allowed AS MATERIALIZED (
      SELECT t.*, a.workspace_id, now() + t.patience * interval '1 second' AS due_at
      FROM input t JOIN agents a ON a.id = t.agent_id
      CROSS JOIN ${membershipOf('a.workspace_id', 'a.id')} m
      WHERE ${maySql('m.role', 'leases:hold')}
    ),
    noted AS (
      UPDATE agents a SET last_seen_at = now() FROM allowed t
      WHERE a.id = t.agent_id AND (a.last_seen_at IS NULL OR a.last_seen_at < now() - interval '1 minute')
    ),
    stayed AS (
      UPDATE agent_presences p SET due_at = greatest(p.due_at, t.due_at) FROM allowed t
      WHERE p.agent_id = t.agent_id AND p.state = 'online' AND NOT t.leaving
    ),
    turned AS (
      UPDATE agent_presences p SET due_at = t.due_at, state = CASE WHEN t.leaving THEN 'offline' ELSE 'online' END
      FROM allowed t WHERE p.agent_id = t.agent_id AND (p.state = 'online') = t.leaving
      RETURNING p.*, t.n, t.event_id
    ),
    fresh AS (
      INSERT INTO agent_presences (agent_id, workspace_id, due_at)
      SELECT t.agent_id, t.workspace_id, t.due_at FROM allowed t
      WHERE NOT t.leaving AND NOT EXISTS (SELECT FROM agent_presences p WHERE p.agent_id = t.agent_id)
      ORDER BY t.agent_id ON CONFLICT DO NOTHING RETURNING *
    ),
    extended AS (
      UPDATE lease_states l SET due_at = greatest(l.due_at, clock_timestamp() + t.ttl * interval '1 second')
      FROM allowed t
      WHERE l.agent_id = t.agent_id AND l.state = 'leased' AND l.due_at > clock_timestamp() AND NOT t.leaving
        AND (t.leases IS NULL OR l.lease_id = ANY (t.leases))
      RETURNING t.n, l.lease_id, l.due_at
    ),
    changes AS MATERIALIZED (
      SELECT c.n, c.workspace_id AS stream_id, c.event_id,
        CASE c.state WHEN 'online' THEN '${AGENT_ONLINE}' ELSE '${AGENT_OFFLINE}' END AS type,
        'agents/' || c.agent_id AS subject, c.agent_id AS principal_id, ${data('c')} AS data
      FROM (
        SELECT n, event_id, agent_id, workspace_id, state FROM turned
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

/** So many agents that were not heard of in time are lost. */
export const LOSE_AGENTS: Statement = {
  name: 'leases.lose_agents',
  text: `
    WITH silent AS MATERIALIZED (
      SELECT p.agent_id FROM agent_presences p WHERE p.state = 'online' AND p.due_at <= now()
      ORDER BY p.agent_id LIMIT $1 FOR UPDATE SKIP LOCKED
    ),
    lost AS (
      UPDATE agent_presences p SET state = 'lost' FROM silent s WHERE p.agent_id = s.agent_id RETURNING p.*
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
