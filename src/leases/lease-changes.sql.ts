import { rfc3339Sql } from '../common/rfc3339.js';
import { inWorkspaces } from '../database/in-workspaces.sql.js';
import { APPEND_CTES } from '../events/append.sql.js';
import type { CombinableWrite } from '../events/write-combiner.js';
import { tooLarge } from '../items/items.errors.js';
import { ITEM_UPDATED, itemEventData, itemRoomSql } from '../items/items.events.js';
import { maySql, membershipOf } from '../workspaces/permissions.js';
import { afterwards, endedType, type EndInput, type EndRow, type HolderInput } from './lease-ends.sql.js';
import { AGENT_LEASE_CANCELLED, appendedEvents, LEASE_CANCELLED, leaseEventData } from './leases.events.js';
import { LONE_END } from './lone-end.sql.js';

export interface ExtendInput extends HolderInput {
  readonly ttl: number;
}

/** The lease that is meant, by its key. */
const MEANT = 'l.lease_id = t.id AND l.workspace_id = t.workspace_id';
/**
 * A lease that its holder still has. The clock and not the transaction's time: the wait for the row counts. Not by `=` to
 * its holder: planned while few leases are held, they would be found by their holders, and all of those read.
 */
const HELD = `l.state = 'leased' AND l.agent_id IS NOT DISTINCT FROM t.principal_id AND l.due_at > clock_timestamp()`;

/** Always found by its key, as {@link membershipOf} is. */
const HOLDERS_ROLE =
  '(SELECT m.role FROM memberships m WHERE m.workspace_id = l.workspace_id AND m.principal_id = t.principal_id)';

/** No event: the end of a lease that goes on is of no interest to those who watch. */
export const EXTEND_LEASES: CombinableWrite<ExtendInput> = {
  keyOf: (input) => input.id,
  statement: {
    name: 'leases.extend',
    text: `
    WITH input AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(n int, id uuid, workspace_id uuid, principal_id uuid, ttl int)
    ),
    extended AS (
      UPDATE lease_states l SET due_at = greatest(l.due_at, clock_timestamp() + t.ttl * interval '1 second')
      FROM input t WHERE ${MEANT} AND ${HELD} AND ${maySql(HOLDERS_ROLE, 'leases:hold')}
      RETURNING t.n, ${rfc3339Sql('l.due_at')} AS expires_at
    )
    SELECT t.n, e.expires_at FROM input t LEFT JOIN extended e ON e.n = t.n`,
  },
};

const isWritable = (type: string): string => `(t.writable IS NULL OR ${type} = ANY (t.writable))`;

/** Ends leases as their holders say; with the change of the item that comes with it, or not at all. */
export const END_LEASES: CombinableWrite<EndInput, EndRow> = {
  keyOf: (input) => input.id,
  refusal: tooLarge,
  statement: {
    name: 'leases.end',
    text: `
    WITH input AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(
        n int, id uuid, workspace_id uuid, principal_id uuid, event_id uuid, outcome text, reason text, retry boolean,
        item_event_id uuid, type text, title text, data jsonb, writable text[])
    ),
    held AS MATERIALIZED (
      SELECT t.n, l.item_id, l.workspace_id, ARRAY[l.workspace_id] AS homes, m.role, q.attempts AS most, ws.require_if_match AND t.item_event_id IS NOT NULL AS lacks_if_match,
        t.item_event_id IS NULL OR (${isWritable('l.type')} AND ${isWritable('COALESCE(t.type, l.type)')}) AS writable,
        ${maySql('m.role', 'leases:hold')} AS allowed
      FROM input t
      JOIN lease_states l ON ${MEANT} AND ${HELD}
      CROSS JOIN ${membershipOf('l.workspace_id', 't.principal_id')} m
      CROSS JOIN LATERAL (SELECT w.require_if_match FROM workspaces w WHERE w.id = l.workspace_id LIMIT 1) ws
      JOIN lease_types q ON q.workspace_id = l.workspace_id AND q.type = l.type
      ORDER BY l.item_id FOR UPDATE OF l
    ),
    good AS MATERIALIZED (SELECT * FROM held WHERE allowed AND writable AND NOT lacks_if_match),
    written AS (
      UPDATE items i SET
        type = COALESCE(t.type, i.type),
        title = COALESCE(t.title, i.title),
        data = CASE WHEN t.data IS NULL THEN i.data ELSE jsonb_merge_patch(i.data, t.data) END,
        version = i.version + 1,
        updated_at = now(),
        updated_by = t.principal_id
      FROM input t JOIN good g ON g.n = t.n
      WHERE i.id = g.item_id AND ${inWorkspaces('i.workspace_id', 'g.homes')} AND t.item_event_id IS NOT NULL
      RETURNING t.n, i.*
    ),
    ended AS (
      UPDATE lease_states l SET
        ${afterwards({ outcome: 't.outcome', reason: 't.reason', retry: 't.retry', most: 'g.most' })}
      FROM input t JOIN good g ON g.n = t.n
      WHERE l.item_id = g.item_id AND l.workspace_id = g.workspace_id
      RETURNING t.n, t.outcome, t.event_id, t.principal_id, l.*
    ),
    changes AS MATERIALIZED (
      SELECT 2 * w.n AS n, w.workspace_id AS stream_id, t.item_event_id AS event_id, '${ITEM_UPDATED}' AS type,
        ${itemRoomSql('w.id')} AS subject, t.principal_id, ${itemEventData('w')} AS data
      FROM written w JOIN input t ON t.n = w.n
      UNION ALL
      SELECT 2 * e.n + 1, e.workspace_id, e.event_id, ${endedType('e.outcome')}, ${itemRoomSql('e.item_id')}, e.principal_id,
        ${leaseEventData('e')}
      FROM ended e
    ), ${APPEND_CTES}
    SELECT t.n, h.allowed::text, h.writable::text, h.lacks_if_match::text,
      (SELECT ${leaseEventData('e')}::text FROM ended e WHERE e.n = t.n) AS work,
      (SELECT ${itemEventData('w')}::text FROM written w WHERE w.n = t.n) AS item,
      ${appendedEvents('c.n / 2 = t.n')} AS events
    FROM input t LEFT JOIN held h ON h.n = t.n`,
  },
  alone: LONE_END,
};

export interface CancelInput {
  /** The lease. */
  readonly id: string;
  readonly principal_id: string;
  readonly event_id: string;
  readonly reason: string;
}

/** Ends leases as people say, who know them by their ids alone. Answers what {@link END_LEASES} does. */
export const CANCEL_LEASES: CombinableWrite<CancelInput> = {
  keyOf: (input) => input.id,
  statement: {
    name: 'leases.cancel',
    text: `
    WITH input AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(n int, id uuid, principal_id uuid, event_id uuid, reason text)
    ),
    held AS MATERIALIZED (
      SELECT t.n, l.item_id, l.workspace_id, m.role <> 'agent' AND ${maySql('m.role', 'items:write')} AS allowed
      FROM input t JOIN lease_states l ON l.lease_id = t.id AND l.state = 'leased'
      CROSS JOIN ${membershipOf('l.workspace_id', 't.principal_id')} m
      ORDER BY l.item_id FOR UPDATE OF l
    ),
    ended AS (
      UPDATE lease_states l SET state = 'dead', due_at = now(), reason = t.reason, changed_at = now()
      FROM input t JOIN held h ON h.n = t.n AND h.allowed
      WHERE l.item_id = h.item_id AND l.workspace_id = h.workspace_id
      RETURNING t.n, t.event_id, t.principal_id, l.*
    ),
    changes AS MATERIALIZED (
      SELECT 2 * e.n AS n, e.workspace_id AS stream_id, e.event_id, '${LEASE_CANCELLED}' AS type,
        ${itemRoomSql('e.item_id')} AS subject, e.principal_id, ${leaseEventData('e')} AS data
      FROM ended e
      UNION ALL
      SELECT 2 * e.n + 1, e.workspace_id, gen_random_uuid(), '${AGENT_LEASE_CANCELLED}', 'agents/' || e.agent_id,
        e.principal_id, ${leaseEventData('e')}
      FROM ended e
    ), ${APPEND_CTES}
    SELECT t.n, h.allowed::text, 'true' AS writable, 'false' AS lacks_if_match,
      (SELECT ${leaseEventData('e')}::text FROM ended e WHERE e.n = t.n) AS work, NULL AS item,
      ${appendedEvents('c.n / 2 = t.n')} AS events
    FROM input t LEFT JOIN held h ON h.n = t.n`,
  },
};
