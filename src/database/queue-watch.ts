const LOOK_MS = 100;
/** What has passed between two looks counts for so much at most, in ms. */
const MOST_MS = 3 * LOOK_MS;

/**
 * Looks at a queue from time to time, and knows for how long somebody has waited in it, and for how long it has not
 * moved. When this process itself is held up, that hardly counts: what came meanwhile has not been looked at.
 */
export class QueueWatch {
  private timer: NodeJS.Timeout | undefined;
  private lookedAt = 0;
  private passedMs = 0;
  private movedAt = 0;

  /** @param look called at each look, from {@link start} to {@link stop} */
  constructor(private readonly look: () => void) {}

  /** To be kept with whoever begins to wait, for {@link waitedMs}. */
  get now(): number {
    return this.passedMs;
  }

  /** For how long nobody's turn has come; 0 while it does not look. */
  get stillMs(): number {
    return this.timer ? this.passedMs - this.movedAt : 0;
  }

  /** For how long somebody has waited at least. */
  waitedMs(since: number): number {
    return Math.max(0, this.passedMs - since - LOOK_MS);
  }

  /** Looks from now on, if it does not already. */
  start(): void {
    if (this.timer) return;
    this.movedAt = this.passedMs;
    this.lookedAt = performance.now();
    this.timer = setInterval(() => {
      const now = performance.now();
      this.passedMs += Math.min(now - this.lookedAt, MOST_MS);
      this.lookedAt = now;
      this.look();
    }, LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** Somebody's turn has come. */
  moved(): void {
    this.movedAt = this.passedMs;
  }
}
