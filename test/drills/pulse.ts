import { setTimeout as delay } from 'node:timers/promises';

const BEAT_MS = 100;
/** A commit that changes nothing: it takes what a flush takes. */
const COMMIT = `SELECT pg_logical_emit_message(true, 'drill', '')`;

/**
 * What the machine itself holds up, whatever is done to the instance: how late a timer comes in this process, and what a
 * lone commit takes in the database. What is demanded of answers is demanded on top of that, so a drill on a busy
 * machine judges the instance and not the machine.
 */
export class Pulse {
  private longestMs = 0;
  private stopped = false;
  private beating: Promise<unknown> = Promise.resolve();

  /** @param ask runs one statement on a connection of its own */
  constructor(private readonly ask: (statement: string) => Promise<unknown>) {}

  /** The longest that something was held up, in ms. */
  get heldUpMs(): number {
    return Math.round(this.longestMs);
  }

  begin(): void {
    this.beating = Promise.all([this.beat(), this.commit()]);
  }

  async end(): Promise<void> {
    this.stopped = true;
    await this.beating;
  }

  private async beat(): Promise<void> {
    while (!this.stopped) {
      const since = performance.now();
      await delay(BEAT_MS);
      this.note(performance.now() - since - BEAT_MS);
    }
  }

  private async commit(): Promise<void> {
    while (!this.stopped) {
      const since = performance.now();
      // The database may be what is broken: that is not the machine's doing.
      const isDone = await this.ask(COMMIT).then(
        () => true,
        () => false,
      );
      if (isDone) this.note(performance.now() - since);
      await delay(BEAT_MS);
    }
  }

  private note(ms: number): void {
    this.longestMs = Math.max(this.longestMs, ms);
  }
}
