import { LEASE_DEAD, type Told } from './leases.events.js';

/** What an agent says of its own lease, which is in the workspace that its token names. */
export interface HolderInput {
  /** The lease. */
  readonly id: string;
  readonly workspace_id: string;
  readonly principal_id: string;
}

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
/** How the holder of a lease ended it, each as our own SQL. */
interface Outcome {
  readonly outcome: string;
  readonly reason: string;
  /** Whether it is tried again if it has failed. */
  readonly retry: string;
  /** How often it is tried. */
  readonly most: string;
}

/** What becomes of the work `l`, for `UPDATE … SET`. */
export const afterwards = ({ outcome, reason, retry, most }: Outcome): string => `state = CASE
          WHEN ${outcome} = 'completed' THEN 'done'
          WHEN ${outcome} = 'released' OR (${outcome} = 'failed' AND ${retry} AND l.attempts < ${most}) THEN 'ready'
          ELSE 'dead' END,
        due_at = now() + CASE WHEN ${outcome} = 'failed' AND ${retry}
          THEN least(${BACKOFF.most}, ${BACKOFF.first} * 2 ^ least(l.attempts - 1, 20)) * interval '1 second'
          ELSE interval '0' END,
        attempts = CASE WHEN ${outcome} = 'released' THEN l.attempts - 1 ELSE l.attempts END,
        reason = ${reason},
        changed_at = now()`;

/** The type of the event that tells of `e`. @param outcome our own SQL */
export const endedType = (outcome: string): string =>
  `CASE WHEN ${outcome} = 'failed' AND e.state = 'dead' THEN '${LEASE_DEAD}' ELSE 'lease.' || ${outcome} END`;
