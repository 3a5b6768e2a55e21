import { rfc3339 } from '../common/rfc3339.js';
import { StreamEvent } from '../events/stream-event.js';
import { type ItemRow, toItemResponse } from '../items/items.dto.js';
import { itemRoom } from '../items/items.events.js';

/** What became of a claim. */
export interface ClaimRow {
  n: string;
  /** Whether the agent may not claim anything. */
  readonly forbidden: boolean;
  /** {@link import('./leases.dto.js').LeaseResponse} each, as JSON; none: there was nothing to claim. */
  readonly leases: readonly string[];
  readonly events: readonly StreamEvent[];
}

/**
 * One event that tells of a lease, with the item of the lease, as a claim's statement answers it. An item has two rows,
 * one after the other, where another lease of it has expired. All of it is null where nothing was due.
 */
export type FoundRow = { [Column in keyof Found]: Found[Column] | null };

interface Found extends Omit<ItemRow, 'id'> {
  item_id: string;
  lease_id: string;
  attempts: string;
  due_at: string;
  event_id: string;
  event_type: string;
  principal_id: string;
  seq: string;
  time: string;
  event_data: string;
}

/** In SQL, of a lease `c` and its item. */
export const LEASE_COLUMNS = 'c.item_id, c.lease_id, c.attempts, c.due_at, c.workspace_id, c.type';
/** In SQL. */
export const itemColumns = (row: string): string =>
  ['version', 'title', 'data', 'created_at', 'created_by', 'updated_at', 'updated_by']
    .map((column) => `${row}.${column}`)
    .join(', ');

/** Puts together what became of one claim. @param rows of its leases, the most urgent first */
export function toClaimRow(n: string, rows: readonly FoundRow[]): ClaimRow {
  const found = rows.filter(isFound);
  const leases = found.filter((row, at) => row.item_id !== found[at + 1]?.item_id);
  return { n, forbidden: false, leases: leases.map(leaseOf), events: found.map(eventOf) };
}

const isFound = (row: FoundRow): row is Found => row.item_id !== null;

const leaseOf = (row: Found): string =>
  leaseJson({
    id: row.lease_id,
    fence: row.version,
    attempt: row.attempts,
    expiresAt: rfc3339(row.due_at),
    item: toItemResponse({ ...row, id: row.item_id }),
  });

/** {@link import('./leases.dto.js').LeaseResponse}, of numbers and an item that are text already. */
export const leaseJson = (
  lease: Readonly<Record<'id' | 'fence' | 'attempt' | 'expiresAt' | 'item', string>>,
): string =>
  `{"id":"${lease.id}","fence":${lease.fence},"attempt":${lease.attempt},"expiresAt":"${lease.expiresAt}","item":${lease.item}}`;

const eventOf = (row: Found): StreamEvent =>
  new StreamEvent({
    streamId: row.workspace_id,
    seq: Number(row.seq),
    id: row.event_id,
    type: row.event_type,
    subject: itemRoom(row.item_id),
    principalId: row.principal_id,
    time: row.time,
    data: row.event_data,
  });
