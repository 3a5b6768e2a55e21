import { newId } from '../common/identifiers.js';
import { rfc3339Sql } from '../common/rfc3339.js';
import { inWorkspaces } from '../database/in-workspaces.sql.js';
import type { StatementValue } from '../database/pipelined-statements.js';
import type { LoneWrite } from '../events/write-combiner.js';
import { itemRoomSql } from '../items/items.events.js';
import { maySql } from '../workspaces/permissions.js';
import { type ClaimRow, type FoundRow, itemColumns, LEASE_COLUMNS, toClaimRow } from './claim-rows.js';
import { type ClaimInput, isDueFor } from './lease-search.sql.js';
import { LEASE_CLAIMED, LEASE_EXPIRED } from './leases.events.js';

/**
 * One lease of one type without a limit, for one agent. To share out, to rank and to collect would cost more than the
 * claim, and so would JSON: values come as parameters and go as columns.
 */
export const LONE_CLAIM: LoneWrite<ClaimInput, ClaimRow> = {
  fits: ({ most, types, limited }) => most === 1 && types.length === 1 && !limited,
  values: (input): StatementValue[] => [
    input.agent_id,
    input.workspace_id,
    input.types[0] ?? '',
    JSON.stringify(input.labels),
    input.priority_from,
    input.priority_to,
    input.due_from,
    input.due_to,
    input.delivered,
    input.ttl,
    input.held_most,
    newId(),
    newId(),
    [input.workspace_id],
  ],
  statement: {
    name: 'leases.claim_alone',
    // Step 0 of what is told is the new lease, step 1 the one before it that has expired: it comes first.
    text: `
    WITH known AS MATERIALIZED (
      SELECT s.access_seq, q.attempts
      FROM streams s CROSS JOIN memberships m CROSS JOIN lease_types q
      WHERE s.id = $2 AND m.workspace_id = $2 AND m.principal_id = $1 AND ${maySql('m.role', 'leases:hold')}
        AND q.workspace_id = $2 AND q.type = $3 AND q.concurrency IS NULL
        AND (
          SELECT count(*) FROM lease_states h
          WHERE h.agent_id = $1 AND h.workspace_id = $2 AND h.state = 'leased' AND h.due_at > now()
        ) < $11
    ),
    claimed AS (
      UPDATE lease_states l SET state = 'leased', lease_id = $12, agent_id = $1, fence = d.version, delivered = $9,
        attempts = l.attempts + 1, due_at = now() + $10::int * interval '1 second', reason = NULL, changed_at = now()
      FROM known k CROSS JOIN LATERAL (
        SELECT l.item_id, (l.state = 'leased')::int AS again, l.lease_id AS old_lease, l.agent_id AS old_agent,
          ${itemColumns('i')}
        FROM lease_states l JOIN items i ON i.id = l.item_id AND ${inWorkspaces('i.workspace_id', '$14::uuid[]')}
        WHERE l.workspace_id = $2 AND l.type = $3
          AND ${isDueFor({ from: '$7', to: '$8', least: '$5', most: '$6', labels: '$4', attempts: 'k.attempts' })}
        ORDER BY l.priority DESC, l.due_at, l.item_id LIMIT 1 FOR UPDATE OF l SKIP LOCKED
      ) d
      WHERE l.item_id = d.item_id AND l.workspace_id = $2
      RETURNING l.item_id, l.lease_id, l.workspace_id, l.type, l.agent_id, l.priority, l.attempts, l.due_at, k.access_seq,
        d.again, d.old_lease, d.old_agent, ${itemColumns('d')}
    ),
    advanced AS (
      UPDATE streams s SET head = s.head + 1 + c.again FROM claimed c WHERE s.id = $2 AND s.ended_at IS NULL
      RETURNING CASE WHEN s.access_seq = c.access_seq THEN s.head WHEN refuse_stale_access() IS NULL THEN 0 END AS head
    ),
    appended AS (
      INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
      SELECT $2, a.head - t.step, CASE t.step WHEN 0 THEN $13 ELSE gen_random_uuid() END, t.type,
        ${itemRoomSql('c.item_id')}, CASE t.step WHEN 0 THEN c.agent_id ELSE c.old_agent END,
        jsonb_build_object(
          'id', CASE t.step WHEN 0 THEN c.lease_id ELSE c.old_lease END, 'itemId', c.item_id, 'workspaceId', $2::uuid,
          'type', $3::text, 'agentId', CASE t.step WHEN 0 THEN c.agent_id ELSE c.old_agent END, 'state', t.state,
          'attempt', c.attempts, 'fence', c.version, 'priority', c.priority, 'dueAt', ${rfc3339Sql('c.due_at')},
          'reason', t.reason)
      FROM claimed c CROSS JOIN advanced a
      JOIN (VALUES (0, '${LEASE_CLAIMED}', 'leased', NULL), (1, '${LEASE_EXPIRED}', 'ready', 'expired'))
        t(step, type, state, reason) ON t.step <= c.again
      RETURNING id AS event_id, type AS event_type, principal_id, seq, "time", data AS event_data
    )
    SELECT ${LEASE_COLUMNS}, ${itemColumns('c')},
      a.event_id, a.event_type, a.principal_id, a.seq, a."time", a.event_data
    FROM known k LEFT JOIN claimed c ON true LEFT JOIN appended a ON true
    ORDER BY a.seq`,
  },
  // None where the agent may not, or holds as many as it may, or the type has a limit: the statement for many says which.
  toRow: (rows: readonly FoundRow[]) => (rows.length === 0 ? undefined : toClaimRow('0', rows)),
};
