import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

/** So many requests are begun in one round of the event loop. */
const MOST_A_ROUND = 16;
/** So many wait for theirs at most. */
const MOST_WAITING = 10_000;
/** Whoever asks how the process is must be told, above all when others wait. */
const PROBES = /^\/health\//;

export const isProbe = (url: string | undefined): boolean => PROBES.test(url ?? '');

interface Waiting {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** By {@link performance.now}. */
  readonly since: number;
}

const arrivals = new WeakMap<IncomingMessage, number>();

/** When a request had arrived, by {@link performance.now}: before now if it waited for its round. */
export const arrivedAt = (request: IncomingMessage): number => arrivals.get(request) ?? performance.now();

/**
 * Has requests begun a few at a time, in the order in which they came. Node accepts one new connection in each round of
 * the event loop (libuv 1.45 and newer) and reads all that are open: with a thousand that are busy, a round would take
 * half a second, and whoever comes new, a balancer's probe above all, would wait for minutes. Rounds of a few requests
 * cost nothing, and what waits here tells how much more there is to do than can be done.
 */
export class PacedRequests {
  private queue: (Waiting | undefined)[] = [];
  /** What stands before this has been begun. */
  private next = 0;
  private begun = 0;

  /** How long the one that waits for longest has waited, in ms. */
  get oldestMs(): number {
    const first = this.queue[this.next];
    return first ? performance.now() - first.since : 0;
  }

  /** Whether more wait than may: others begin at once, and had better be refused. */
  get isFull(): boolean {
    return this.queue.length - this.next >= MOST_WAITING;
  }

  /** @param listener what does the requests @returns the same, for a server of HTTP */
  pace(listener: RequestListener): RequestListener {
    const round = (): void => {
      this.begun = 0;
      for (; this.begun < MOST_A_ROUND && this.next < this.queue.length; this.begun++) this.take(listener);
      this.tidy();
      if (this.begun > 0) setImmediate(round);
    };
    return (request, response) => {
      const waits = this.next < this.queue.length || this.begun >= MOST_A_ROUND;
      if (waits && !isProbe(request.url) && !this.isFull) {
        this.queue.push({ request, response, since: performance.now() });
        return;
      }
      if (this.begun++ === 0) setImmediate(round);
      listener(request, response);
    };
  }

  private take(listener: RequestListener): void {
    const waiting = this.queue[this.next];
    this.queue[this.next++] = undefined;
    if (!waiting) return;
    arrivals.set(waiting.request, waiting.since);
    listener(waiting.request, waiting.response);
  }

  /** Forgets those that were begun, when that moves no more than it frees. */
  private tidy(): void {
    if (this.next === 0 || this.next * 2 < this.queue.length) return;
    this.queue = this.queue.slice(this.next);
    this.next = 0;
  }
}
