import { Injectable } from '@nestjs/common';

/** Whether the process still takes new work. First it drains, so that nobody is sent here any more; then it closes. */
@Injectable()
export class Lifecycle {
  private leaving = false;
  private deadline = Infinity;
  private readonly closer = new AbortController();

  /** From the signal on: not ready, and connections close after their answer. Whatever is asked is still done. */
  get draining(): boolean {
    return this.leaving;
  }

  /** Whether nothing that lasts is begun any more. */
  get closing(): boolean {
    return this.closer.signal.aborted;
  }

  /** Aborted when what lasts should end: waits, jobs, sockets. */
  get signal(): AbortSignal {
    return this.closer.signal;
  }

  /** How long closing may still take, in ms; {@link Infinity} while nothing closes. */
  get leftMs(): number {
    return Math.max(0, this.deadline - performance.now());
  }

  drain(): void {
    this.leaving = true;
  }

  /** @param limitMs what it may take in all */
  close(limitMs: number): void {
    this.leaving = true;
    this.deadline = performance.now() + limitMs;
    this.closer.abort(new Error('Atrium is shutting down'));
  }
}
