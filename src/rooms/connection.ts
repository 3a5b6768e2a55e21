import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { LogContext, LogFields } from '../common/log-context.js';
import type { CloseCode } from './close-codes.js';
import { messageFrame, SOCKET_WIRE } from './frame.js';
import type { Outbox } from './outbox.js';
import { Subscriber } from './subscriber.js';

/** One open socket: whose it is, and what is on its way to it. */
export class Connection extends Subscriber implements LogContext {
  /** The room of the address that was connected to, until it is joined. */
  firstRoom: string | undefined;
  /** The `id` of the frame that is being handled: its answer, or its error, repeats it. */
  frameId: number | undefined;
  /** When the last sign of life came, by {@link performance.now}. */
  lastSeen: number;
  /** When the last heartbeat went out, by {@link performance.now}. */
  lastPing: number;

  /** @param bufferLimit bytes that may wait for a slow reader */
  constructor(
    readonly id: string,
    readonly openedAt: number,
    private readonly client: WebSocket,
    private readonly socket: Socket,
    outbox: Outbox,
    bufferLimit: number,
  ) {
    super(SOCKET_WIRE, outbox, bufferLimit);
    this.lastSeen = openedAt;
    this.lastPing = openedAt;
    client.on('pong', () => (this.lastSeen = performance.now()));
    client.once('close', () => this.drain());
  }

  logFields(): LogFields {
    const { id, principal } = this;
    return { connectionId: id, principal: principal && `${principal.kind}:${principal.id}` };
  }

  get isOpen(): boolean {
    return this.client.readyState === this.client.OPEN;
  }

  protected get unsentBytes(): number {
    return this.socket.writableLength;
  }

  protected write(bytes: Buffer, written?: () => void): void {
    if (written) this.socket.write(bytes, written);
    else this.socket.write(bytes);
  }

  /** Answers the frame that is being handled. */
  reply(event: string, data: object): void {
    this.send(messageFrame(event, data, this.frameId));
  }

  ping(now: number): void {
    this.lastPing = now;
    this.client.ping();
  }

  /** Sends what is pending, then closes. */
  close(code: CloseCode, reason: string): void {
    if (!this.isOpen) return;
    this.flushPending();
    this.client.close(code, reason);
  }

  /** For a peer that does not answer the closing handshake either. */
  terminate(): void {
    this.client.terminate();
  }
}
