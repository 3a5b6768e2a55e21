import type { Connection } from '../rooms/connection.js';
import type { WorkWish } from './lease-claims.js';
import type { LeaseWaiter } from './lease-waiters.js';

/** A lease that was sent to a socket. */
interface Sent {
  readonly itemId: string;
  /** Of the item, when it was sent. */
  readonly type: string;
  /** When it ends unless it is extended, by {@link performance.now}. */
  endsAt: number;
}

/** A lease that its agent has lost without its own doing. */
export interface LostLease {
  readonly id: string;
  readonly itemId: string;
  readonly reason: string;
}

/** What one socket works on: the leases that came over it, and that it may still be given some. */
export class SocketWork {
  /** Who hands it work, and sleeps meanwhile. */
  waiter: LeaseWaiter | undefined;
  private readonly sent = new Map<string, Sent>();
  private capacity = 0;
  private stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(readonly connection: Connection) {
    void connection.closed.then(() => this.stopping.abort());
  }

  /** How many more it may hold. */
  get free(): number {
    return this.capacity - this.sent.size;
  }

  /** The leases that it holds, as far as is known here. */
  get ids(): string[] {
    return [...this.sent.keys()];
  }

  /** In how many ms the first of them ends, unless it is extended. */
  get endsIn(): number {
    const ends = [...this.sent.values()].map(({ endsAt }) => endsAt);
    return Math.max(0, Math.min(...ends) - performance.now());
  }

  /** Does something else from now on, when what it does has come to its end. */
  turnTo(
    wish: WorkWish & { readonly capacity: number },
    serve: (signal: AbortSignal) => Promise<void>,
  ): void {
    this.stopping.abort();
    this.stopping = new AbortController();
    if (!this.connection.isOpen) this.stopping.abort();
    const { signal } = this.stopping;
    // One after another: two at a time would not know of each other's claims.
    this.running = this.running.then(async () => {
      this.capacity = wish.capacity;
      // Also with a capacity of 0: what it holds may be lost.
      if (!signal.aborted) await serve(signal);
    });
  }

  add({ id, itemId, type }: { id: string; itemId: string; type: string }, ms: number): void {
    this.sent.set(id, { itemId, type, endsAt: performance.now() + ms });
  }

  remove(id: string): void {
    if (this.sent.delete(id)) this.waiter?.wake();
  }

  /** Keeps those that the database knows of, with the time that they have left; the agent is told of the others. */
  keep(held: readonly { readonly id: string; readonly ms: string }[]): void {
    const left = new Map(held.map(({ id, ms }) => [id, Number(ms)]));
    for (const [id, lease] of this.sent) {
      const ms = left.get(id);
      if (ms !== undefined) lease.endsAt = performance.now() + ms;
      else if (this.sent.delete(id)) this.tellLost({ id, itemId: lease.itemId, reason: 'ended' });
    }
  }

  /** What it holds must be asked of the database again. */
  doubt(): void {
    for (const lease of this.sent.values()) lease.endsAt = performance.now();
    this.waiter?.wake();
  }

  /** The lease of an item, if it came over this socket, and the type that the item had then. */
  leaseOf(itemId: string): { readonly id: string; readonly type: string } | undefined {
    for (const [id, lease] of this.sent) if (lease.itemId === itemId) return { id, type: lease.type };
    return undefined;
  }

  /** Tells the agent what to stop. */
  tellLost(lost: LostLease): void {
    const { connection } = this;
    connection.send(connection.wire.message('lost', { leases: [lost] }));
  }
}
