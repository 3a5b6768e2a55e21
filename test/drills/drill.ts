import type { Arena, ArenaOptions } from './arena.js';

/** Breaks something once, and sees it through: what was stopped runs again, and writers write. */
export type Fault = (arena: Arena) => Promise<void>;

/** One kind of fault, done over and over to instances under steady writes. */
export interface Drill {
  readonly name: string;
  /** What is done, in a line. */
  readonly about: string;
  /** How long it goes on unless told otherwise; it ends with the fault that it is in. */
  readonly seconds: number;
  readonly options?: ArenaOptions;
  /** Whether a reader may be told that its cursor is older than what is kept. */
  readonly mayBeTooOld?: boolean;
  /** Done in turn. */
  readonly faults: readonly Fault[];
}
