import type { StatementValue } from '../database/pipelined-statements.js';
import { StreamEvent } from '../events/stream-event.js';
import type { LoneWrite } from '../events/write-combiner.js';
import { itemRoomSql } from '../items/items.events.js';
import { maySql } from '../workspaces/permissions.js';
import { afterwards, endedType, type EndInput, type EndRow } from './lease-ends.sql.js';
import { leaseEventData } from './leases.events.js';

interface EndedRow {
  event_type: string;
  subject: string;
  seq: string;
  time: string;
  work: string;
}

/**
 * What its holder says of one lease, without a change of the item: as its own `UPDATE`, with all that decides whether it
 * may be made, and for whom. Values come as parameters and go as columns, since JSON would cost as much.
 */
export const LONE_END: LoneWrite<EndInput, EndRow> = {
  fits: ({ item_event_id }) => item_event_id === undefined,
  values: (input): StatementValue[] => [
    input.id,
    input.workspace_id,
    input.principal_id,
    input.event_id,
    input.outcome,
    input.reason ?? null,
    input.retry ?? null,
  ],
  statement: {
    name: 'leases.end_alone',
    text: `
    WITH ended AS (
      UPDATE lease_states l SET
        ${afterwards({ outcome: '$5::text', reason: '$6', retry: '$7::boolean', most: 'q.attempts' })}
      FROM memberships m CROSS JOIN lease_types q CROSS JOIN streams s
      WHERE l.lease_id = $1 AND l.workspace_id = $2 AND l.state = 'leased' AND l.agent_id IS NOT DISTINCT FROM $3
        AND l.due_at > clock_timestamp()
        AND m.workspace_id = $2 AND m.principal_id = $3 AND ${maySql('m.role', 'leases:hold')}
        AND q.workspace_id = $2 AND q.type = l.type AND s.id = $2
      RETURNING l.*, s.access_seq
    ),
    advanced AS (
      UPDATE streams s SET head = s.head + 1 FROM ended e WHERE s.id = $2 AND s.ended_at IS NULL
      RETURNING CASE WHEN s.access_seq = e.access_seq THEN s.head WHEN refuse_stale_access() IS NULL THEN 0 END AS seq
    )
    INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
    SELECT $2, a.seq, $4, ${endedType('$5')}, ${itemRoomSql('e.item_id')}, $3, ${leaseEventData('e')}
    FROM ended e CROSS JOIN advanced a
    RETURNING type AS event_type, subject, seq, "time", data AS work`,
  },
  // None where it is not the agent's, or is over, or the agent may not: the statement for many says which.
  toRow: ([row]: readonly EndedRow[], input) =>
    row && {
      n: '0',
      allowed: 'true',
      writable: 'true',
      lacks_if_match: 'false',
      work: row.work,
      item: null,
      events: [
        new StreamEvent({
          streamId: input.workspace_id,
          seq: Number(row.seq),
          id: input.event_id,
          type: row.event_type,
          subject: row.subject,
          principalId: input.principal_id,
          time: row.time,
          data: row.work,
        }),
      ],
    },
};
