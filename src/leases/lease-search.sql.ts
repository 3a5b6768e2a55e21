export interface ClaimInput {
  readonly agent_id: string;
  readonly workspace_id: string;
  /** Sorted: claims that ask for the same share their search. */
  readonly types: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Inclusive. */
  readonly priority_from: number;
  readonly priority_to: number;
  /** Inclusive, for `timestamptz`: when it became due. */
  readonly due_from: string;
  readonly due_to: string;
  /** Whether the agent will have the leases with the answer; else they are on their way to a socket. */
  readonly delivered: boolean;
  readonly ttl: number;
  readonly most: number;
  /** How many leases the agent may hold. */
  readonly held_most: number;
  /** Whether a type is known to have a limit: what is for types without one would be tried in vain. */
  readonly limited: boolean;
}

/** What a search is for, each as our own SQL. */
interface Wanted {
  /** When it became due. */
  readonly from: string;
  readonly to: string;
  /** The priority. */
  readonly least: string;
  readonly most: string;
  readonly labels: string;
  /** How often the type may be tried. */
  readonly attempts: string;
}

/** Whether `l`, of the wanted type in the wanted workspace, may be claimed. */
export const isDueFor = (wanted: Wanted): string => `
          l.state IN ('ready', 'leased')
          AND l.due_at <= now() AND l.due_at BETWEEN ${wanted.from} AND ${wanted.to}
          AND l.priority BETWEEN ${wanted.least} AND ${wanted.most} AND l.labels @> ${wanted.labels}
          AND (l.state = 'ready' OR l.attempts < ${wanted.attempts})`;
