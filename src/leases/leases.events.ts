import { rfc3339Sql } from '../common/rfc3339.js';
import { type EventParts, StreamEvent } from '../events/stream-event.js';

export const LEASE_CLAIMED = 'lease.claimed';
export const LEASE_EXPIRED = 'lease.expired';
export const LEASE_RELEASED = 'lease.released';
export const LEASE_CANCELLED = 'lease.cancelled';
export const LEASE_DEAD = 'lease.dead';
export const LEASE_RETRIED = 'lease.retried';
/** Of the workspace: how many items of a type may be leased at a time, and how often each is tried. */
export const LEASE_TYPE_UPDATED = 'lease.type_updated';
export const AGENT_ONLINE = 'agent.online';
export const AGENT_OFFLINE = 'agent.offline';
export const AGENT_LOST = 'agent.lost';
/** In the agent's own room, so that it stops at once. */
export const AGENT_LEASE_CANCELLED = 'agent.lease_cancelled';

/** What an event about a lease carries as `data`, in SQL: how far the work on the item is after it. */
export const leaseEventData = (row: string, lease = `${row}.lease_id`, agent = `${row}.agent_id`): string =>
  `jsonb_build_object(
    'id', ${lease}, 'itemId', ${row}.item_id, 'workspaceId', ${row}.workspace_id, 'type', ${row}.type,
    'agentId', ${agent}, 'state', ${row}.state, 'attempt', ${row}.attempts, 'fence', ${row}.fence,
    'priority', ${row}.priority, 'dueAt', ${rfc3339Sql(`${row}.due_at`)}, 'reason', ${row}.reason)`;

/** What a statement has appended, as one JSON list: to be announced after the commit. `where` picks from `changes c`. */
export const appendedEvents = (where: string): string => `(
    SELECT jsonb_agg(jsonb_build_object('streamId', a.stream_id, 'seq', a.seq, 'id', a.id, 'type', c.type,
      'subject', c.subject, 'principalId', c.principal_id, 'time', a."time"::text, 'data', c.data::text) ORDER BY a.seq)
    FROM changes c JOIN appended a ON a.id = c.event_id WHERE ${where}
  )::text`;

/** What a statement told its streams: {@link appendedEvents}, or read already. */
export type Told = string | readonly StreamEvent[] | null;

/** All that a statement told, in the order of each stream. */
export const eventsOf = (rows: readonly { readonly events: Told }[]): StreamEvent[] =>
  rows.flatMap(({ events }) => toEvents(events)).sort((a, b) => a.seq - b.seq);

const toEvents = (told: Told): readonly StreamEvent[] =>
  typeof told === 'string'
    ? (JSON.parse(told) as EventParts[]).map((parts) => new StreamEvent(parts))
    : (told ?? []);
