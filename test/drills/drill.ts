import type { Arena, ArenaOptions } from './arena.js';

/** One kind of fault, done to instances under steady writes. */
export interface Drill {
  readonly name: string;
  /** What is done, in a line. */
  readonly about: string;
  /** How long it goes on unless told otherwise; it ends with the round that it is in. */
  readonly seconds: number;
  readonly options?: ArenaOptions;
  /** Whether a reader may be told that its cursor is older than what is kept. */
  readonly mayBeTooOld?: boolean;
  /** Does it, over and over, while `arena.goesOn`. Writers write from the start. */
  run(arena: Arena): Promise<void>;
}
