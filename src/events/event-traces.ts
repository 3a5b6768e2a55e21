import { type OpenSpan, traces } from '../common/traces.js';
import type { StreamEvent } from './stream-event.js';

/** The channel on which instances tell each other of the traces in which events were written. */
export const TRACES_CHANNEL = 'traces';

/** How many events of one trace are followed to their deliveries, of those that are announced together. */
const MOST_FOLLOWED = 16;
/** How many are kept that others have told of and that have not been read yet. */
const MOST_KEPT = 4_096;
/** Names by which the inputs of combined writes hold the ids of their events. */
const EVENT_IDS = ['event_id', 'item_event_id'];

interface Written {
  readonly input: object;
  readonly span: OpenSpan | undefined;
}

/** The writes whose events are being announced just now. */
let writes: readonly Written[] = [];

/** Announces the events of combined writes, each as of its own trace. */
export function announceAsOf(written: readonly Written[], announce: () => void): void {
  writes = written;
  try {
    announce();
  } finally {
    writes = [];
  }
}

/** Notes with events in which trace they were written, so that their deliveries are part of it; at their announcement. */
export function traceEvents(events: readonly StreamEvent[]): void {
  const lone = writes.length > 0 ? writes[0]?.span?.traceparent : traces?.traceparent;
  const places = writes.length > 1 ? placesOf(writes) : undefined;
  let followed = 0;
  for (const event of events) {
    const traceparent = places ? places.get(event.id) : lone;
    if (traceparent === undefined) continue;
    event.traceparent = traceparent;
    if (!places && ++followed === MOST_FOLLOWED) return;
  }
}

/** By the ids of the events. */
function placesOf(written: readonly Written[]): Map<string, string> {
  const places = new Map<string, string>();
  for (const { input, span } of written) {
    if (!span) continue;
    for (const name of EVENT_IDS) {
      const id: unknown = Reflect.get(input, name);
      if (typeof id === 'string') places.set(id, span.traceparent);
    }
  }
  return places;
}

/** By what an event is told of on the {@link TRACES_CHANNEL}. */
export const traceKey = ({ streamId, seq }: Pick<StreamEvent, 'streamId' | 'seq'>): string =>
  `${streamId} ${seq}`;

/**
 * What other instances have told of the traces of events that are about to be read here. Hints, which may be lost or
 * invented: then a delivery is missing in a trace, or is in another one.
 */
export class ToldTraces {
  private readonly kept = new Map<string, string>();

  /** @param key a {@link traceKey} */
  keep(key: string, traceparent: string): void {
    this.kept.set(key, traceparent);
    if (this.kept.size <= MOST_KEPT) return;
    for (const oldest of this.kept.keys()) {
      this.kept.delete(oldest);
      return;
    }
  }

  /** Notes with the events what was told of them. */
  recall(events: readonly StreamEvent[]): void {
    if (this.kept.size === 0) return;
    for (const event of events) {
      const key = traceKey(event);
      const told = this.kept.get(key);
      if (told === undefined) continue;
      this.kept.delete(key);
      event.traceparent ??= told;
    }
  }
}
