import type { Arena, ArenaOptions, ArenaSettings } from './arena.js';
import type { Violation } from './checker.js';
import type { Ground } from './ground.js';

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

/** What came of a drill. */
export interface Outcome {
  readonly counts: Readonly<Record<string, number>>;
  readonly violations: readonly Violation[];
  /** What the instances printed. */
  readonly output: string;
}

/** Does all of a drill that has a place, faults and a checker of its own. */
export type Conduct = (ground: Ground, settings: ArenaSettings) => Promise<Outcome>;

export interface OwnDrill extends Pick<Drill, 'name' | 'about' | 'seconds'> {
  readonly conduct: Conduct;
}

/** Any drill. */
export type AnyDrill = Drill | OwnDrill;
