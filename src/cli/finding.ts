/** What was looked at, and what to do about it. */
export interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'warning' | 'failed';
  /** What was found; where it is not well, with the mend. */
  readonly detail: string;
}

export type Judged = Omit<Finding, 'check'>;

export const ok = (detail: string): Judged => ({ state: 'ok', detail });
export const warning = (detail: string): Judged => ({ state: 'warning', detail });
export const failed = (detail: string): Judged => ({ state: 'failed', detail });
