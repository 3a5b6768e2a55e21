import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Principal } from '../common/access.js';
import type { CloseCode } from './close-codes.js';
import { messageFrame } from './frame.js';
import type { FrameChain, Outbox, OutboxTarget } from './outbox.js';

/** A socket with more than this part of its bound unsent is lagging: durable events wait in the stream. */
const LAGGING_PART = 0.5;

/**
 * One open socket: whose it is, and what is on its way to it. What waits for a slow reader is bounded by the
 * lagging part of its bound and one frame more, as long as whoever sends looks at {@link isLagging} before.
 */
export class Connection implements OutboxTarget {
  /** Undefined until a token has been verified. */
  principal: Principal | undefined;
  /** The room of the address that was connected to, until it is joined. */
  firstRoom: string | undefined;
  /** The `id` of the frame that is being handled: its answer, or its error, repeats it. */
  frameId: number | undefined;
  /** When the last sign of life came, by {@link performance.now}. */
  lastSeen: number;
  /** When the last heartbeat went out, by {@link performance.now}. */
  lastPing: number;
  pending: FrameChain | undefined;
  private pendingBytes = 0;
  private laggingSince: number | undefined;
  /** With more than this waiting, the reader lags. */
  readonly lagBytes: number;
  private readonly drained: (() => void)[] = [];

  /** @param bufferLimit bytes that may wait for a slow reader */
  constructor(
    readonly id: string,
    readonly openedAt: number,
    private readonly client: WebSocket,
    private readonly socket: Socket,
    private readonly outbox: Outbox,
    bufferLimit: number,
  ) {
    this.lagBytes = bufferLimit * LAGGING_PART;
    this.lastSeen = openedAt;
    this.lastPing = openedAt;
    client.on('pong', () => (this.lastSeen = performance.now()));
    client.once('close', () => this.drain());
  }

  get isOpen(): boolean {
    return this.client.readyState === this.client.OPEN;
  }

  /** Whether durable events should wait until the reader has caught up. */
  get isLagging(): boolean {
    return this.laggingSince !== undefined;
  }

  /** Since when, by {@link performance.now}. */
  get lagStart(): number | undefined {
    return this.laggingSince;
  }

  /** Sends a frame that may be shared with other sockets. */
  send(frame: Buffer): void {
    if (!this.isOpen) return;
    this.outbox.push(this, frame);
    this.pendingBytes += frame.length;
    this.measure();
  }

  /** Answers the frame that is being handled. */
  reply(event: string, data: object): void {
    this.send(messageFrame(event, data, this.frameId));
  }

  flush(bytes: Buffer): void {
    this.pendingBytes = 0;
    if (!this.isOpen) return;
    // Only what may leave the reader lagging must be told when it is written. A `drain` event would come only
    // after more than the socket's own mark, which a small bound does not reach.
    if (this.socket.writableLength + bytes.length > this.lagBytes) this.socket.write(bytes, this.written);
    else this.socket.write(bytes);
    this.measure();
  }

  /** Resolves when the reader has caught up for now, or is gone. */
  whenDrained(): Promise<void> {
    if (!this.isLagging || !this.isOpen) return Promise.resolve();
    return new Promise((resolve) => this.drained.push(resolve));
  }

  ping(now: number): void {
    this.lastPing = now;
    this.client.ping();
  }

  /** Sends what is pending, then closes. */
  close(code: CloseCode, reason: string): void {
    if (!this.isOpen) return;
    this.outbox.flush(this);
    this.client.close(code, reason);
  }

  /** For a peer that does not answer the closing handshake either. */
  terminate(): void {
    this.client.terminate();
  }

  private readonly written = (): void => this.measure();

  private measure(): void {
    if (this.pendingBytes + this.socket.writableLength > this.lagBytes)
      this.laggingSince ??= performance.now();
    else this.drain();
  }

  private drain(): void {
    if (this.laggingSince === undefined) return;
    this.laggingSince = undefined;
    for (const resolve of this.drained.splice(0)) resolve();
  }
}
