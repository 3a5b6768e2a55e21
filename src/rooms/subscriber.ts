import type { Principal } from '../common/access.js';
import type { CloseCode } from './close-codes.js';
import type { FrameChain, Outbox, OutboxTarget } from './outbox.js';
import type { Wire } from './wire.js';

/** A reader with more than this part of its bound unsent is lagging: durable events wait in the stream. */
const LAGGING_PART = 0.5;

/**
 * Somebody who is sent what happens in rooms, over whatever transport. What waits for a slow reader is bounded by
 * the lagging part of its bound and one frame more, as long as whoever sends looks at {@link isLagging} before.
 */
export abstract class Subscriber implements OutboxTarget {
  /** Undefined until a token has been verified. */
  principal: Principal | undefined;
  pending: FrameChain | undefined;
  /** With more than this waiting, the reader lags. */
  readonly lagBytes: number;
  private pendingBytes = 0;
  private laggingSince: number | undefined;
  private readonly drained: (() => void)[] = [];

  /**
   * @param wire how frames are put into bytes
   * @param bufferLimit bytes that may wait for a slow reader
   */
  constructor(
    readonly wire: Wire,
    private readonly outbox: Outbox,
    bufferLimit: number,
  ) {
    this.lagBytes = bufferLimit * LAGGING_PART;
  }

  /** Whether what is sent can still arrive. */
  abstract get isOpen(): boolean;

  /** Bytes that were written and have not left yet. */
  protected abstract get unsentBytes(): number;

  /** Writes at once. @param written called when the bytes have left */
  protected abstract write(bytes: Buffer, written?: () => void): void;

  /** Sends what is pending, then closes, and says why. */
  abstract close(code: CloseCode, reason: string): void;

  /** A room was taken away, and the reader has been told so. */
  roomLost(): void {
    // Most have other rooms, or may join again.
  }

  /** Whether durable events should wait until the reader has caught up. */
  get isLagging(): boolean {
    return this.laggingSince !== undefined;
  }

  /** Since when, by {@link performance.now}. */
  get lagStart(): number | undefined {
    return this.laggingSince;
  }

  /** Sends a frame that may be shared with others of the same {@link wire}. */
  send(frame: Buffer): void {
    if (!this.isOpen) return;
    this.outbox.push(this, frame);
    this.pendingBytes += frame.length;
    this.measure();
  }

  flush(bytes: Buffer): void {
    this.pendingBytes = 0;
    if (!this.isOpen) return;
    // Only what may leave the reader lagging must be told when it is written. A `drain` event would come only
    // after more than the socket's own mark, which a small bound does not reach.
    if (this.unsentBytes + bytes.length > this.lagBytes) this.write(bytes, this.written);
    else this.write(bytes);
    this.measure();
  }

  /** Resolves when the reader has caught up for now, or is gone. */
  whenDrained(): Promise<void> {
    if (!this.isLagging || !this.isOpen) return Promise.resolve();
    return new Promise((resolve) => this.drained.push(resolve));
  }

  /** Writes what is pending now. */
  protected flushPending(): void {
    this.outbox.flush(this);
  }

  /** Lets go of those who wait for the reader. To be called when it is gone, too. */
  protected drain(): void {
    if (this.laggingSince === undefined) return;
    this.laggingSince = undefined;
    for (const resolve of this.drained.splice(0)) resolve();
  }

  private readonly written = (): void => this.measure();

  private measure(): void {
    if (this.pendingBytes + this.unsentBytes > this.lagBytes) this.laggingSince ??= performance.now();
    else this.drain();
  }
}
