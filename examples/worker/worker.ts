import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Api, type ClaimRequest, type Connection } from './api.ts';
import { HeldLease } from './held-lease.ts';
import { Heartbeats } from './heartbeats.ts';
import { Problem } from './problem.ts';
import type { Handle, Item, ItemPatch, Lease } from './types.ts';

export { LeaseLost } from './held-lease.ts';
export { Problem } from './problem.ts';
export type { Handle, Item, ItemPatch, Lease, Work } from './types.ts';

/** Thrown by a handler: trying again cannot help. The item is dead then, with the message as the reason. */
export class GiveUp extends Error {
  override readonly name: string = 'GiveUp';
}

export type WorkerOptions = Connection & {
  /** Of the items that it works on. */
  readonly type: string;
  /** What `data.lease.labels` of an item must hold. */
  readonly labels?: Readonly<Record<string, string>>;
  /** How many items at a time; 1 when left out. */
  readonly concurrency?: number;
  /** How long an item is left to a worker that is not heard of any more; 60 when left out. */
  readonly ttlSeconds?: number;
  /** How long `stop()` waits for handlers, in ms; 30,000 when left out. */
  readonly graceMs?: number;
  readonly handle: Handle;
  /** Told of what went wrong and is tried again, or left to others; by default nobody is. */
  readonly onError?: (error: unknown, lease?: Lease) => void;
};

export interface Worker {
  /** Resolves when it has stopped; rejects if it had to, because the server does not know the agent or does not let it. */
  readonly stopped: Promise<void>;
  /** Claims no more, waits for handlers, and gives back what is left. */
  stop(): Promise<void>;
}

const WAIT_SECONDS = 20;
const MAX_CLAIM = 100;
const GRACE_MS = 30_000;
const GIVE_BACK_MS = 5_000;
const PAUSE_MS = { first: 200, most: 10_000 };
const MAX_REASON = 1_000;

/** Claims items and has them worked on, each by one worker at a time, until it is told to stop. */
export function worker(options: WorkerOptions): Worker {
  const running = new Running(options);
  return { stopped: running.stopped, stop: () => running.stop() };
}

class Running {
  readonly stopped: Promise<void>;
  readonly #options: WorkerOptions;
  readonly #api: Api;
  readonly #heartbeats: Heartbeats;
  readonly #held = new Set<HeldLease>();
  readonly #working = new Map<HeldLease, Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #ttlSeconds: number;
  #changed: () => void = () => undefined;
  /** Whether claims have a key, under which a lost answer is given again. */
  #isKeyed = true;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#ttlSeconds = options.ttlSeconds ?? 60;
    this.#api = new Api(options);
    this.#heartbeats = new Heartbeats(this.#api, this.#held, this.#ttlSeconds, (error) =>
      this.#failed(error),
    );
    this.stopped = this.#run();
    this.stopped.catch(() => undefined); // it is for whoever waits for it
  }

  stop(): Promise<void> {
    this.#stopping.abort();
    this.#changed();
    return this.stopped;
  }

  async #run(): Promise<void> {
    this.#heartbeats.start();
    try {
      await this.#claimOn();
    } finally {
      await this.#finish();
      await this.#heartbeats.stop();
    }
  }

  async #claimOn(): Promise<void> {
    const { signal } = this.#stopping;
    let pause = PAUSE_MS.first;
    while (!signal.aborted) {
      try {
        const places = (this.#options.concurrency ?? 1) - this.#working.size;
        if (places > 0) await this.#claim(Math.min(places, MAX_CLAIM));
        else await this.#change();
        pause = PAUSE_MS.first;
      } catch (error) {
        if (error instanceof Problem && error.isFinal) throw error;
        this.#failed(error);
        await delay(pause * Math.random(), undefined, { signal }).catch(() => undefined);
        pause = Math.min(2 * pause, PAUSE_MS.most);
      }
    }
  }

  async #claim(limit: number): Promise<void> {
    const { type, labels } = this.#options;
    const { signal } = this.#stopping;
    const filter = labels && { filter: { labels } };
    const times = { ttlSeconds: this.#ttlSeconds, waitSeconds: WAIT_SECONDS };
    const request = { types: [type], ...filter, limit, ...times };
    const key = this.#isKeyed ? randomUUID() : undefined;
    try {
      for (const lease of await this.#api.claim(request, key, signal)) this.#start(lease);
    } catch (error) {
      if (error instanceof Problem && error.code === 'too_many_idempotency_keys') this.#isKeyed = false;
      if (!signal.aborted) throw error;
      if (key) await this.#giveBack(request, key);
    }
  }

  /** The answer may have been on its way when the claim was broken off: sent again, it is answered again. */
  async #giveBack(request: ClaimRequest, key: string): Promise<void> {
    const patience = AbortSignal.timeout(GIVE_BACK_MS);
    while (!patience.aborted) {
      try {
        const leases = await this.#api.claim(request, key, patience);
        await Promise.all(leases.map((lease) => this.#api.end(lease, 'release', {}, patience)));
        return;
      } catch (error) {
        if (!(error instanceof Problem && error.code === 'idempotency_in_progress')) return;
        await delay(PAUSE_MS.first / 2);
      }
    }
  }

  #start(lease: Lease): void {
    const held = new HeldLease(lease, 1_000 * this.#ttlSeconds);
    this.#held.add(held);
    const done = this.#work(held).finally(() => {
      this.#held.delete(held);
      this.#working.delete(held);
      this.#changed();
    });
    this.#working.set(held, done);
  }

  async #work(held: HeldLease): Promise<void> {
    const { lease, signal } = held;
    const update = (patch: ItemPatch, ifMatch?: number) => this.#update(held, patch, ifMatch);
    let end: readonly [how: string, body: object];
    try {
      const patch = await this.#options.handle(lease.item, { lease, signal, fence: lease.fence, update });
      end = ['complete', patch ? { patch } : {}];
    } catch (error) {
      if (!signal.aborted) this.#failed(error, lease);
      end = ['fail', { reason: reasonOf(error), retry: !(error instanceof GiveUp) }];
    }
    if (held.settle()) await this.#end(held, ...end);
  }

  /** What cannot be said is found out by the server when the lease has expired. */
  async #end({ lease }: HeldLease, how: string, body: object): Promise<void> {
    await this.#api.end(lease, how, body).catch((error: unknown) => this.#failed(error, lease));
  }

  async #update(held: HeldLease, patch: ItemPatch, ifMatch?: number): Promise<Item> {
    try {
      return await this.#api.update(held.lease, patch, ifMatch);
    } catch (error) {
      if (error instanceof Problem && error.code === 'lease_lost') held.lose('the server says so');
      throw error;
    }
  }

  /** Lets those finish who can, in time; what they hold then is given back, for others to claim at once. */
  async #finish(): Promise<void> {
    const over = new AbortController();
    const grace = delay(this.#options.graceMs ?? GRACE_MS, undefined, over);
    await Promise.race([Promise.all(this.#working.values()), grace]);
    over.abort();
    const left = [...this.#held].filter((held) => held.settle());
    for (const held of left) held.stop(new Error('The worker stops, and gives the item back'));
    await Promise.all(left.map((held) => this.#end(held, 'release', {})));
  }

  /** Resolves when a place has become free, or the worker is to stop. */
  #change(): Promise<void> {
    return new Promise((resolve) => (this.#changed = resolve));
  }

  #failed(error: unknown, lease?: Lease): void {
    this.#options.onError?.(error, lease);
  }
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.slice(0, MAX_REASON) || 'failed';
}
