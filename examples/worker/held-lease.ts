import type { Lease } from './types.ts';

/** Why a handler's signal is aborted: somebody else may have the item by now. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/**
 * A lease that this worker holds, as far as it knows. It counts as lost when the server says so, and also when its time
 * is over and nothing was heard, by the clock that nobody can set. The server judges by its own, and refuses what comes
 * too late.
 */
export class HeldLease {
  readonly lease: Lease;
  readonly #ttlMs: number;
  readonly #controller = new AbortController();
  #expiry: NodeJS.Timeout | undefined;
  #settled = false;

  constructor(lease: Lease, ttlMs: number) {
    this.lease = lease;
    this.#ttlMs = ttlMs;
    this.extended(performance.now());
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether how it ends is decided: nothing else can end it any more. */
  get isSettled(): boolean {
    return this.#settled;
  }

  /** It lasts for the whole time anew, from when that was asked for. */
  extended(askedAt: number): void {
    if (this.#settled) return;
    clearTimeout(this.#expiry);
    const left = Math.max(0, askedAt + this.#ttlMs - performance.now());
    this.#expiry = setTimeout(() => this.lose('its time is over, and the server was not heard'), left);
  }

  /** Stops the handler; the lease is not ours to end. */
  lose(why: string): void {
    if (this.settle()) this.stop(new LeaseLost(`The lease is lost: ${why}`));
  }

  /** Stops the handler. */
  stop(reason: Error): void {
    this.#controller.abort(reason);
  }

  /** Whoever is told `true` ends it, and nobody else does. */
  settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#expiry);
    return true;
  }
}
