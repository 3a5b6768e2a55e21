import { newId } from '../common/identifiers.js';
import { rfc3339Sql } from '../common/rfc3339.js';
import { inWorkspaces } from '../database/in-workspaces.sql.js';
import type { StatementValue } from '../database/pipelined-statements.js';
import { StreamEvent } from '../events/stream-event.js';
import type { LoneWrite } from '../events/write-combiner.js';
import { type ItemRow, toItemResponse } from '../items/items.dto.js';
import { itemRoom, itemRoomSql } from '../items/items.events.js';
import { maySql } from '../workspaces/permissions.js';
import { type ClaimRow, itemColumns, leaseJson } from './claim-rows.js';
import { type ClaimInput, isDueFor } from './lease-search.sql.js';
import { LEASE_CLAIMED } from './leases.events.js';

/** What was due, if anything was, and what was told of it, if it was claimed. */
interface DueRow extends Omit<ItemRow, 'id' | 'workspace_id' | 'type'> {
  readonly item_id: string | null;
  readonly event_id: string | null;
  readonly seq: string;
  readonly time: string;
  readonly event_data: string;
}

/** Of an event's data, what a lease says of itself. */
interface Told {
  readonly id: string;
  readonly attempt: number;
  readonly dueAt: string;
}

/**
 * One lease of one type without a limit, for one agent, of what nobody else has had before. To share out, to rank and to
 * collect would cost more than the claim, and so would JSON: values come as parameters and go as columns. What a part of
 * the plan hands on costs as well, so the item's columns pass by the update, and the lease is read from what is told of it.
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
    due AS MATERIALIZED (
      SELECT l.item_id, l.state, k.access_seq, ${itemColumns('i')}
      FROM known k CROSS JOIN lease_states l
      JOIN items i ON i.id = l.item_id AND ${inWorkspaces('i.workspace_id', '$14::uuid[]')}
      WHERE l.workspace_id = $2 AND l.type = $3
        AND ${isDueFor({ from: '$7', to: '$8', least: '$5', most: '$6', labels: '$4', attempts: 'k.attempts' })}
      ORDER BY l.priority DESC, l.due_at, l.item_id LIMIT 1 FOR UPDATE OF l SKIP LOCKED
    ),
    claimed AS (
      UPDATE lease_states l SET state = 'leased', lease_id = $12, agent_id = $1, fence = d.version, delivered = $9,
        attempts = l.attempts + 1, due_at = now() + $10::int * interval '1 second', reason = NULL, changed_at = now()
      FROM due d WHERE l.item_id = d.item_id AND l.workspace_id = $2 AND d.state = 'ready'
      RETURNING l.item_id, l.attempts, l.fence, l.priority, l.due_at, d.access_seq
    ),
    advanced AS (
      UPDATE streams s SET head = s.head + 1 FROM claimed c WHERE s.id = $2 AND s.ended_at IS NULL
      RETURNING CASE WHEN s.access_seq = c.access_seq THEN s.head WHEN refuse_stale_access() IS NULL THEN 0 END AS head
    ),
    appended AS (
      INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
      SELECT $2, a.head, $13, '${LEASE_CLAIMED}', ${itemRoomSql('c.item_id')}, $1, jsonb_build_object(
        'id', $12::uuid, 'itemId', c.item_id, 'workspaceId', $2::uuid, 'type', $3::text, 'agentId', $1::uuid,
        'state', 'leased', 'attempt', c.attempts, 'fence', c.fence, 'priority', c.priority,
        'dueAt', ${rfc3339Sql('c.due_at')}, 'reason', NULL)
      FROM claimed c CROSS JOIN advanced a
      RETURNING id AS event_id, seq, "time", data AS event_data
    )
    SELECT d.item_id, ${itemColumns('d')}, a.event_id, a.seq, a."time", a.event_data
    FROM known k LEFT JOIN due d ON true LEFT JOIN appended a ON true`,
  },
  /**
   * Left to the statement for many: to say why the agent may not claim, or not by this one; and what is due because
   * another's lease of it has expired, of which more is told.
   */
  toRow: ([row]: readonly DueRow[], input) => {
    if (!row || (row.item_id !== null && row.event_id === null)) return undefined;
    return { n: '0', forbidden: false, ...claimedOf(row, input) };
  },
};

function claimedOf(
  row: DueRow,
  { workspace_id, types, agent_id }: ClaimInput,
): Pick<ClaimRow, 'leases' | 'events'> {
  const { item_id: id, event_id } = row;
  if (id === null || event_id === null) return { leases: [], events: [] };
  const told = JSON.parse(row.event_data) as Told;
  const item = toItemResponse({ ...row, id, workspace_id, type: types[0] ?? '' });
  const event = new StreamEvent({
    streamId: workspace_id,
    seq: Number(row.seq),
    id: event_id,
    type: LEASE_CLAIMED,
    subject: itemRoom(id),
    principalId: agent_id,
    time: row.time,
    data: row.event_data,
  });
  return {
    leases: [
      leaseJson({
        id: told.id,
        fence: row.version,
        attempt: String(told.attempt),
        expiresAt: told.dueAt,
        item,
      }),
    ],
    events: [event],
  };
}
