import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Principal } from '../common/access.js';
import type { CloseCode } from './close-codes.js';
import { messageFrame } from './frame.js';
import type { FrameChain, Outbox, OutboxTarget } from './outbox.js';

/** A socket with more than this part of its bound unsent is lagging: durable events wait in the stream. */
const LAGGING_PART = 0.5;

/** One open socket: whose it is, what it follows, and what is on its way to it. */
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
  private laggingSince: number | undefined;
  private readonly drained: (() => void)[] = [];

  /** @param bufferLimit bytes that may wait for a slow reader */
  constructor(
    readonly id: string,
    readonly openedAt: number,
    private readonly client: WebSocket,
    private readonly socket: Socket,
    private readonly outbox: Outbox,
    private readonly bufferLimit: number,
  ) {
    this.lastSeen = openedAt;
    this.lastPing = openedAt;
    socket.on('drain', () => this.drain());
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
    if (this.isOpen) this.outbox.push(this, frame);
  }

  /** Answers the frame that is being handled. */
  reply(event: string, data: object): void {
    this.send(messageFrame(event, data, this.frameId));
  }

  flush(bytes: Buffer): void {
    if (!this.isOpen) return;
    this.socket.write(bytes);
    const waiting = this.socket.writableLength;
    if (waiting > this.bufferLimit * LAGGING_PART) this.laggingSince ??= performance.now();
    if (waiting > this.bufferLimit) this.client.terminate(); // it asks without ever reading the answers
  }

  /** Resolves when the reader has caught up, or is gone. */
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

  private drain(): void {
    this.laggingSince = undefined;
    for (const resolve of this.drained.splice(0)) resolve();
  }
}
