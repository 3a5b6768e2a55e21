import type { StreamEvent } from './stream-event.js';

/** How much of the newest past an instance keeps of each stream it follows. */
export const RECENT_EVENTS = 1_024;
export const RECENT_CHARACTERS = 1_048_576;
/** How many events that came too early are kept, until the ones before them come or are read. */
const MAX_EARLY = 1_024;

/**
 * One stream as this instance knows it: the position up to which everything has been handed on, the newest
 * events for those who are just behind, and events that arrived before their turn.
 */
export class FollowedStream {
  private recent: StreamEvent[] = [];
  private recentCharacters = 0;
  private readonly early = new Map<number, StreamEvent>();

  /**
   * @param position everything up to this `seq` counts as handed on
   * @param accessSeq the newest `seq` known to have taken a right from somebody
   */
  constructor(
    readonly id: string,
    public position: number,
    public accessSeq = 0,
  ) {}

  /** Whether something after the position is known to exist that cannot be handed on yet. */
  get hasGap(): boolean {
    return this.early.size > 0;
  }

  /**
   * Takes events in any order, each any number of times.
   * @returns those whose turn it is, in order; possibly none
   */
  receive(events: readonly StreamEvent[]): StreamEvent[] {
    const due: StreamEvent[] = [];
    for (const event of events) {
      if (event.seq === this.position + 1) this.accept(event, due);
      else if (event.seq > this.position && this.early.size < MAX_EARLY) this.early.set(event.seq, event);
    }
    return due;
  }

  /**
   * The events after `seq`, if they are all at hand; `undefined` when some must be read from the database.
   */
  since(seq: number): readonly StreamEvent[] | undefined {
    if (seq >= this.position) return [];
    const oldest = this.recent[0]?.seq;
    return oldest !== undefined && oldest <= seq + 1 ? this.recent.slice(seq + 1 - oldest) : undefined;
  }

  /** Forgets everything and goes on from another position. */
  restart(position: number, accessSeq = 0): void {
    this.position = position;
    this.accessSeq = accessSeq;
    this.recent = [];
    this.recentCharacters = 0;
    this.early.clear();
  }

  private accept(first: StreamEvent, due: StreamEvent[]): void {
    for (let event: StreamEvent | undefined = first; event; event = this.early.get(this.position + 1)) {
      this.early.delete(event.seq);
      this.position = event.seq;
      this.remember(event);
      due.push(event);
    }
  }

  private remember(event: StreamEvent): void {
    this.recent.push(event);
    this.recentCharacters += event.size;
    if (this.recent.length < 2 * RECENT_EVENTS && this.recentCharacters < 2 * RECENT_CHARACTERS) return;
    // Cut in halves, not one by one: shifting an array at every event would cost more than the event.
    let from = this.recent.length;
    let characters = 0;
    while (from > 0 && this.recent.length - from < RECENT_EVENTS && characters < RECENT_CHARACTERS)
      characters += this.recent[--from]?.size ?? 0;
    this.recent = this.recent.slice(from);
    this.recentCharacters = characters;
  }
}
