import { rfc3339Sql } from '../common/rfc3339.js';
import { inWorkspaces } from '../database/in-workspaces.sql.js';
import { APPEND_CTES, APPEND_TO_ONE_CTES } from '../events/append.sql.js';
import type { CombinableWrite } from '../events/write-combiner.js';
import { tooLarge } from '../items/items.errors.js';
import { ITEM_UPDATED, itemEventData, itemRoomSql } from '../items/items.events.js';
import { maySql, membershipOf } from '../workspaces/permissions.js';
import {
  AGENT_LEASE_CANCELLED,
  appendedEvents,
  LEASE_CANCELLED,
  LEASE_DEAD,
  leaseEventData,
  type Told,
} from './leases.events.js';

/** What an agent says of its own lease, which is in the workspace that its token names. */
interface HolderInput {
  /** The lease. */
  readonly id: string;
  readonly workspace_id: string;
  readonly principal_id: string;
}

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

export interface EndInput extends HolderInput {
  readonly event_id: string;
  readonly outcome: 'completed' | 'failed' | 'released';
  readonly reason?: string | undefined;
  /** Whether a failed one is tried again, if it may be. */
  readonly retry?: boolean | undefined;
  /** With a change of the item, a merge patch; else all of these are missing. */
  readonly item_event_id?: string;
  readonly type?: string | undefined;
  readonly title?: string | undefined;
  readonly data?: unknown;
  /** The types that the caller may write; all of them when left out. */
  readonly writable?: readonly string[] | undefined;
}

export interface EndRow {
  n: string;
  /** Null where there is no such lease. */
  allowed: string | null;
  writable: string;
  lacks_if_match: string;
  work: string | null;
  item: string | null;
  events: Told;
}

/** After the first failure, then doubling, and at most; in seconds. */
const BACKOFF = { first: 10, most: 3_600 };
const isWritable = (type: string): string => `(t.writable IS NULL OR ${type} = ANY (t.writable))`;

/** What becomes of the work `l` by the outcome `t`. @param g has how often it is tried at `most` */
const afterwards = (g: string): string => `state = CASE
          WHEN t.outcome = 'completed' THEN 'done'
          WHEN t.outcome = 'released' OR (t.outcome = 'failed' AND t.retry AND l.attempts < ${g}.most) THEN 'ready'
          ELSE 'dead' END,
        due_at = now() + CASE WHEN t.outcome = 'failed' AND t.retry
          THEN least(${BACKOFF.most}, ${BACKOFF.first} * 2 ^ least(l.attempts - 1, 20)) * interval '1 second'
          ELSE interval '0' END,
        attempts = CASE WHEN t.outcome = 'released' THEN l.attempts - 1 ELSE l.attempts END,
        reason = t.reason,
        changed_at = now()`;

/** The type of the event that tells of `e`. */
const ENDED = `CASE WHEN e.outcome = 'failed' AND e.state = 'dead' THEN '${LEASE_DEAD}' ELSE 'lease.' || e.outcome END`;

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
        ${afterwards('g')}
      FROM input t JOIN good g ON g.n = t.n
      WHERE l.item_id = g.item_id AND l.workspace_id = g.workspace_id
      RETURNING t.n, t.outcome, t.event_id, t.principal_id, l.*
    ),
    changes AS MATERIALIZED (
      SELECT 2 * w.n AS n, w.workspace_id AS stream_id, t.item_event_id AS event_id, '${ITEM_UPDATED}' AS type,
        ${itemRoomSql('w.id')} AS subject, t.principal_id, ${itemEventData('w')} AS data
      FROM written w JOIN input t ON t.n = w.n
      UNION ALL
      SELECT 2 * e.n + 1, e.workspace_id, e.event_id, ${ENDED}, ${itemRoomSql('e.item_id')}, e.principal_id,
        ${leaseEventData('e')}
      FROM ended e
    ), ${APPEND_CTES}
    SELECT t.n, h.allowed::text, h.writable::text, h.lacks_if_match::text,
      (SELECT ${leaseEventData('e')}::text FROM ended e WHERE e.n = t.n) AS work,
      (SELECT ${itemEventData('w')}::text FROM written w WHERE w.n = t.n) AS item,
      ${appendedEvents('c.n / 2 = t.n')} AS events
    FROM input t LEFT JOIN held h ON h.n = t.n`,
  },
  // What its holder says of one lease, without a change of the item.
  alone: {
    fits: ({ item_event_id }) => item_event_id === undefined,
    values: (input) => [JSON.stringify([{ n: 0, ...input }])],
    toRow: ([row]: readonly EndRow[]) => row,
    statement: {
      name: 'leases.end_alone',
      text: `
    WITH input AS MATERIALIZED (
      SELECT * FROM jsonb_to_record($1::jsonb->0) AS t(
        n int, id uuid, workspace_id uuid, principal_id uuid, event_id uuid, outcome text, reason text, retry boolean)
    ),
    known AS MATERIALIZED (
      SELECT t.*, l.item_id, q.most, s.access_seq, ${maySql('m.role', 'leases:hold')} AS allowed
      FROM input t JOIN lease_states l ON ${MEANT} AND ${HELD}
      CROSS JOIN ${membershipOf('l.workspace_id', 't.principal_id')} m
      CROSS JOIN LATERAL (
        SELECT q.attempts AS most FROM lease_types q WHERE q.workspace_id = l.workspace_id AND q.type = l.type LIMIT 1) q
      CROSS JOIN LATERAL (SELECT s.access_seq FROM streams s WHERE s.id = l.workspace_id LIMIT 1) s
    ),
    ended AS (
      UPDATE lease_states l SET
        ${afterwards('t')}
      FROM known t
      WHERE l.item_id = t.item_id AND ${MEANT} AND ${HELD} AND t.allowed
      RETURNING t.outcome, t.event_id, t.principal_id, t.access_seq, l.*
    ),
    changes AS MATERIALIZED (
      SELECT 1 AS n, e.workspace_id AS stream_id, e.event_id, ${ENDED} AS type, ${itemRoomSql('e.item_id')} AS subject,
        e.principal_id, ${leaseEventData('e')} AS data, e.access_seq
      FROM ended e
    ), ${APPEND_TO_ONE_CTES}
    SELECT t.n, CASE WHEN NOT k.allowed THEN 'false' END AS allowed, 'true' AS writable, 'false' AS lacks_if_match,
      (SELECT c.data::text FROM changes c) AS work, NULL AS item, ${appendedEvents('true')} AS events
    FROM input t LEFT JOIN known k ON true`,
    },
  },
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
