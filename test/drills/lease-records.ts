/** What an agent knows when an answer came, or did not come; one JSON a line, written at once. */
export type AgentRecord = {
  readonly agent: string;
  readonly lease: string;
  readonly item: string;
} & (
  | {
      readonly saw: 'claimed';
      readonly fence: number;
      readonly attempt: number;
      readonly expiresAt: string;
    }
  | {
      readonly saw: Deed;
      /** `lost`: 409 `lease_lost`. `unknown`: the answer was lost, or says itself that it may have been done. */
      readonly outcome: 'ok' | 'lost' | 'unknown';
      /** Of what was extended. */
      readonly expiresAt?: string;
      /** Names the change in the item that it makes. */
      readonly key?: string;
    }
);

/** What an agent does under a lease. */
export type Deed = 'extend' | 'write' | 'complete' | 'fail' | 'release';

/** The event that a deed makes, if it is done. */
export const EVENT_OF = {
  complete: 'lease.completed',
  fail: 'lease.failed',
  release: 'lease.released',
} as const satisfies Partial<Record<Deed, string>>;

/** One event about an item, as it stands in the table. Times are of the database's clock, in ms. */
export interface WorkEvent {
  readonly seq: number;
  readonly type: string;
  readonly item: string;
  readonly principal: string;
  readonly time: number;
  /** Of `item.*`. */
  readonly version?: number;
  readonly key?: string;
  /** Of `lease.*`. */
  readonly lease?: string;
  readonly fence?: number;
  readonly attempt?: number;
  readonly dueAt?: number;
  readonly reason?: string | null;
}

/** What the tables say of an item in the end. */
export interface WorkRow {
  readonly item: string;
  readonly version: number;
  readonly state: string;
  readonly reason: string | null;
}

/** What an agent's process is told. */
export interface AgentOrders {
  readonly file: string;
  readonly seed: number;
  readonly urls: readonly string[];
  readonly type: string;
  readonly ttlSeconds: number;
  readonly agents: readonly { readonly id: string; readonly token: string }[];
}
