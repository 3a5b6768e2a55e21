import { inWorkspaces } from '../database/in-workspaces.sql.js';
import type { Statement } from '../database/pipelined-statements.js';
import { APPEND_CTES } from '../events/append.sql.js';
import type { CombinableWrite } from '../events/write-combiner.js';
import { itemRoomSql } from '../items/items.events.js';
import { maySql, membershipOf } from '../workspaces/permissions.js';
import { type ClaimRow, type FoundRow, itemColumns, LEASE_COLUMNS, toClaimRow } from './claim-rows.js';
import { type ClaimInput, isDueFor } from './lease-search.sql.js';
import { LEASE_CLAIMED, LEASE_EXPIRED, leaseEventData } from './leases.events.js';
import { LONE_CLAIM } from './lone-claim.sql.js';

const SAME_SEARCH = 'workspace_id, types, labels, priority_from, priority_to, due_from, due_to';

const COLUMNS = `
        n int, agent_id uuid, workspace_id uuid, types text[], labels jsonb, priority_from int, priority_to int,
        due_from timestamptz, due_to timestamptz, delivered boolean, ttl int, most int, held_most int`;

/** Whether `l`, of a type with so many `attempts`, is what `p` looks for. */
const isDue = (p: string, attempts: string): string =>
  `l.workspace_id = ${p}.workspace_id AND ${isDueFor({
    from: `${p}.due_from`,
    to: `${p}.due_to`,
    least: `${p}.priority_from`,
    most: `${p}.priority_to`,
    labels: `${p}.labels`,
    attempts,
  })}`;

/** How many leases of a type there are. */
const leasedOf = (type: string): string => `(
          SELECT count(*) FROM lease_states l
          WHERE l.workspace_id = ${type}.workspace_id AND l.type = ${type}.type AND l.state = 'leased' AND l.due_at > now()
            AND l.fence IS NOT NULL
        )`;

/** How many leases the agent of a claim holds. */
const HELD = `(
        SELECT count(*) FROM lease_states l
        WHERE l.agent_id = t.agent_id AND l.workspace_id = t.workspace_id AND l.state = 'leased' AND l.due_at > now()
      )`;

/** How many of a type are left for `w`, of `wanted`, when others of the statement take some of them before. */
const ROOM = `CASE
        WHEN w.concurrency IS NULL THEN w.want
        WHEN g.claims IS DISTINCT FROM w.claims THEN CASE WHEN refuse_stale_access() IS NULL THEN 0 END
        ELSE least(w.want, greatest(0, w.concurrency - w.before - ${leasedOf('w')}))::int END`;

/** Makes leases of `taken`. */
const CLAIMED = `UPDATE lease_states l SET state = 'leased', lease_id = gen_random_uuid(), agent_id = k.taker,
        fence = k.version, delivered = k.delivered, attempts = l.attempts + 1,
        due_at = now() + k.ttl * interval '1 second', reason = NULL, changed_at = now()
      FROM taken k WHERE l.item_id = k.item_id AND l.workspace_id = k.workspace_id
      RETURNING l.*, k.state AS old_state, k.lease_id AS old_lease, k.agent_id AS old_agent, k.n, k.rank, k.homes`;

/** What the stream is told of `claimed`: that a lease has expired, with 0 as `step`, and that there is a new one. */
const TOLD = `
        SELECT 0 AS step, e.n AS claim, e.rank, e.workspace_id, e.item_id, '${LEASE_EXPIRED}' AS type,
          e.old_agent AS principal_id,
          ${leaseEventData('e', 'e.old_lease', 'e.old_agent')} || '{"state": "ready", "reason": "expired"}' AS data
        FROM claimed e WHERE e.old_state = 'leased'
        UNION ALL
        SELECT 1, e.n, e.rank, e.workspace_id, e.item_id, '${LEASE_CLAIMED}', e.agent_id, ${leaseEventData('e')}
        FROM claimed e`;

/**
 * Claims for many agents at once. What is due is locked where nobody else has it locked, so claims of other instances
 * neither wait for it nor get it; its row is then the lease. Of claims that ask for the same, each gets its share in
 * order of arrival. Where a type has a limit, the leases of that type are counted, and a claim that another one has
 * overtaken since is run again (40001): together they do not go beyond it.
 */
export const CLAIM_LEASES: CombinableWrite<ClaimInput, ClaimRow> = {
  // What an agent holds is counted once per statement: two of its claims in one would go beyond its limit.
  keyOf: (input) => input.agent_id,
  statement: {
    name: 'leases.claim',
    text: `
    WITH input AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(${COLUMNS})),
    allowed AS MATERIALIZED (
      SELECT t.*, greatest(0, least(t.most, t.held_most - ${HELD}))::int AS want
      FROM input t CROSS JOIN ${membershipOf('t.workspace_id', 't.agent_id')} m
      WHERE ${maySql('m.role', 'leases:hold')}
    ),
    shares AS (
      SELECT *, sum(want) OVER (PARTITION BY ${SAME_SEARCH} ORDER BY n) AS upto FROM allowed
    ),
    searches AS MATERIALIZED (
      SELECT row_number() OVER () AS search, ${SAME_SEARCH}, sum(want)::int AS want
      FROM allowed GROUP BY ${SAME_SEARCH} HAVING sum(want) > 0
    ),
    wanted AS MATERIALIZED (
      SELECT s.*, ARRAY[s.workspace_id] AS homes, q.type, q.attempts, q.concurrency, q.claims,
        sum(s.want) OVER (PARTITION BY q.workspace_id, q.type ORDER BY s.search) - s.want AS before
      FROM searches s JOIN lease_types q ON q.workspace_id = s.workspace_id AND q.type = ANY (s.types)
    ),
    gates AS MATERIALIZED (
      SELECT q.workspace_id, q.type, q.claims FROM lease_types q
      WHERE q.concurrency IS NOT NULL AND (q.workspace_id, q.type) IN (SELECT w.workspace_id, w.type FROM wanted w)
      ORDER BY q.workspace_id, q.type FOR NO KEY UPDATE OF q
    ),
    passed AS MATERIALIZED (
      SELECT w.*, ${ROOM} AS room
      FROM wanted w LEFT JOIN gates g ON g.workspace_id = w.workspace_id AND g.type = w.type
    ),
    due AS MATERIALIZED (
      SELECT p.search, p.homes, d.* FROM passed p CROSS JOIN LATERAL (
        SELECT l.item_id, l.priority, l.due_at, l.state, l.lease_id, l.agent_id, i.version
        FROM lease_states l JOIN items i ON i.id = l.item_id AND ${inWorkspaces('i.workspace_id', 'p.homes')}
        WHERE l.type = p.type AND ${isDue('p', 'p.attempts')}
        ORDER BY l.priority DESC, l.due_at, l.item_id LIMIT p.room FOR UPDATE OF l SKIP LOCKED
      ) d
    ),
    ranked AS (
      SELECT *, row_number() OVER (PARTITION BY search ORDER BY priority DESC, due_at, item_id) AS rank
      FROM (SELECT DISTINCT ON (item_id) * FROM due ORDER BY item_id, search) d
    ),
    taken AS MATERIALIZED (
      SELECT h.n, h.workspace_id, h.agent_id AS taker, h.ttl, h.delivered, r.*
      FROM ranked r
      JOIN searches s ON s.search = r.search
      JOIN shares h USING (${SAME_SEARCH})
      WHERE r.rank > h.upto - h.want AND r.rank <= h.upto
    ),
    counted AS (
      UPDATE lease_types q SET claims = q.claims + 1 FROM gates g
      WHERE q.workspace_id = g.workspace_id AND q.type = g.type AND EXISTS (SELECT FROM taken)
    ),
    claimed AS (${CLAIMED}),
    changes AS MATERIALIZED (
      SELECT row_number() OVER (ORDER BY c.claim, c.rank, c.step)::int AS n, c.workspace_id AS stream_id,
        gen_random_uuid() AS event_id, c.type, ${itemRoomSql('c.item_id')} AS subject, c.principal_id, c.data, c.item_id
      FROM (${TOLD}) c
    ), ${APPEND_CTES}
    SELECT t.n, a.n IS NULL AS forbidden, ${LEASE_COLUMNS}, ${itemColumns('i')},
      e.id AS event_id, h.type AS event_type, h.principal_id, e.seq, e."time", h.data AS event_data
    FROM input t LEFT JOIN allowed a ON a.n = t.n LEFT JOIN (
      claimed c JOIN items i ON i.id = c.item_id AND ${inWorkspaces('i.workspace_id', 'c.homes')}
      JOIN changes h ON h.item_id = c.item_id
      JOIN appended e ON e.id = h.event_id
    ) ON c.n = t.n
    ORDER BY c.rank, e.seq`,
  },
  toRows: (rows: readonly (FoundRow & { n: string; forbidden: string })[], inputs) => {
    const found = Map.groupBy(rows, ({ n }) => n);
    return inputs.map((_, at) => {
      const n = String(at);
      const own = found.get(n) ?? [];
      return { ...toClaimRow(n, own), forbidden: own[0]?.forbidden !== 'f' };
    });
  },
  alone: LONE_CLAIM,
};

/** Leases of the agent $2 that have arrived at its socket. */
export const DELIVERED: Statement = {
  name: 'leases.delivered',
  text: `UPDATE lease_states SET delivered = true
    WHERE lease_id = ANY ($1::uuid[]) AND agent_id = $2 AND state = 'leased'`,
};

/** Which of some leases the agent $2 still holds, and for how many milliseconds. */
export const STILL_HELD: Statement = {
  name: 'leases.still_held',
  text: `SELECT lease_id AS id, ceil(extract(epoch FROM due_at - clock_timestamp()) * 1000)::text AS ms
    FROM lease_states
    WHERE lease_id = ANY ($1::uuid[]) AND agent_id = $2 AND state = 'leased' AND due_at > clock_timestamp()`,
};

/**
 * In how many milliseconds a claim that found nothing may find something; null: none is waited for. 0 if there is
 * something by now, or was: what others had locked without taking it, or left of a type with a limit. And whether it is
 * a limit that keeps something from the agent: its own, or that of a type.
 */
export const NEXT_DUE: Statement = {
  name: 'leases.next_due',
  text: `SELECT CASE WHEN h.held < t.held_most AND EXISTS (
        SELECT FROM lease_types q WHERE q.workspace_id = t.workspace_id AND q.type = ANY (t.types)
          AND (q.concurrency IS NULL OR q.concurrency > ${leasedOf('q')})
          AND EXISTS (SELECT FROM lease_states l WHERE l.type = q.type AND ${isDue('t', 'q.attempts')})
      ) THEN '0' ELSE (
        SELECT ceil(extract(epoch FROM
          least(min(l.due_at), CASE WHEN h.held >= t.held_most THEN h.due_at END) - clock_timestamp()) * 1000)::text
        FROM unnest(t.types) k(type) CROSS JOIN LATERAL (
          SELECT min(due_at) AS due_at FROM lease_states
          WHERE workspace_id = t.workspace_id AND type = k.type AND state IN ('ready', 'leased') AND due_at > now()
        ) l) END AS ms,
      (h.held >= t.held_most OR EXISTS (
        SELECT FROM lease_types q WHERE q.workspace_id = t.workspace_id AND q.type = ANY (t.types)
          AND q.concurrency <= ${leasedOf('q')})
      )::text AS limited
    FROM jsonb_to_record($1::jsonb) AS t(${COLUMNS})
    CROSS JOIN LATERAL (
      SELECT count(*) AS held, min(l.due_at) AS due_at FROM lease_states l
      WHERE l.agent_id = t.agent_id AND l.workspace_id = t.workspace_id AND l.state = 'leased' AND l.due_at > now()
    ) h`,
};
