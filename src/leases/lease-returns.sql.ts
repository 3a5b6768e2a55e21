import { afterwards } from './lease-ends.sql.js';
import { leaseEventData } from './leases.events.js';

const RELEASED = afterwards({
  outcome: `'released'::text`,
  reason: '$3::text',
  retry: 'false',
  most: 'l.attempts',
});

/**
 * What the agent $1 holds in the workspace $2 is free, as if it had released it, for the reason $3. What has expired
 * already is told of as that.
 */
export const RETURN_LEASES = `
  WITH held AS MATERIALIZED (
    SELECT l.item_id FROM lease_states l
    WHERE l.agent_id = $1 AND l.workspace_id = $2 AND l.state = 'leased' AND l.due_at > clock_timestamp()
    ORDER BY l.item_id FOR UPDATE
  ),
  freed AS (
    UPDATE lease_states l SET ${RELEASED} FROM held h WHERE l.item_id = h.item_id AND l.workspace_id = $2 RETURNING l.*
  )
  SELECT f.item_id, ${leaseEventData('f')}::text AS work FROM freed f ORDER BY f.item_id`;
