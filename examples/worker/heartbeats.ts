import { setTimeout as delay } from 'node:timers/promises';
import type { Api } from './api.ts';
import type { HeldLease } from './held-lease.ts';

/** So often in the life of a lease it is extended: two heartbeats may fail. */
const PER_TTL = 3;

/** Says that the agent is there, keeps its leases, and hears of those that it has lost. */
export class Heartbeats {
  readonly #api: Api;
  readonly #held: ReadonlySet<HeldLease>;
  readonly #ttlSeconds: number;
  readonly #failed: (error: unknown) => void;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;

  constructor(api: Api, held: ReadonlySet<HeldLease>, ttlSeconds: number, failed: (error: unknown) => void) {
    this.#api = api;
    this.#held = held;
    this.#ttlSeconds = ttlSeconds;
    this.#failed = failed;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Says goodbye. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    const options = { ttlSeconds: this.#ttlSeconds, leaving: true };
    await this.#api.beat([], options, this.#everyMs).catch(this.#failed);
  }

  get #everyMs(): number {
    return (1_000 * this.#ttlSeconds) / PER_TTL;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const interval = await this.#beat().catch((error: unknown) => {
        this.#failed(error);
        return 0;
      });
      const pause = interval > 0 ? Math.min(1_000 * interval, this.#everyMs) : this.#everyMs / 2;
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  /** @returns in how many seconds the server wants to hear of it again */
  async #beat(): Promise<number> {
    const askedAt = performance.now();
    const named = [...this.#held].filter(({ signal }) => !signal.aborted);
    const ids = named.map(({ lease }) => lease.id);
    const answer = await this.#api.beat(ids, { ttlSeconds: this.#ttlSeconds }, this.#everyMs);
    const lost = new Set(answer.lost);
    for (const held of named)
      if (lost.has(held.lease.id)) held.lose('it was cancelled, or another one’s');
      else held.extended(askedAt);
    return answer.intervalSeconds;
  }
}
