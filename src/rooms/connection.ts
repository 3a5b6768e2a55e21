import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { LogContext, LogFields } from '../common/log-context.js';
import type { CloseCode } from './close-codes.js';
import { messageFrame, SOCKET_WIRE } from './frame.js';
import type { Handshake } from './handshake.js';
import type { Outbox } from './outbox.js';
import { Subscriber } from './subscriber.js';

/** One open socket: whose it is, and what is on its way to it. */
export class Connection extends Subscriber implements LogContext {
  /** The room of the address that was connected to, until it is joined. */
  firstRoom: string | undefined;
  readonly openedAt = performance.now();
  /** The `id` of the frame that is being handled: its answer, or its error, repeats it. */
  frameId: number | undefined;
  /** When the last sign of life came, by {@link performance.now}. */
  lastSeen = this.openedAt;
  /** When the last heartbeat went out, by {@link performance.now}. */
  lastPing = this.openedAt;
  /** Resolves when it has closed, however, with the code of RFC 6455, section 7.4. */
  readonly closed: Promise<number>;
  private readonly unconfirmed = new Map<string, (confirmed: boolean) => void>();
  private confirmations = 0;
  /** In whose rooms it was; null once in those of several. */
  private workspace: string | null | undefined;

  /** @param bufferLimit bytes that may wait for a slow reader */
  constructor(
    readonly id: string,
    readonly handshake: Handshake,
    private readonly client: WebSocket,
    private readonly socket: Socket,
    outbox: Outbox,
    bufferLimit: number,
  ) {
    super(SOCKET_WIRE, outbox, bufferLimit);
    this.firstRoom = handshake.room;
    client.on('pong', (data: Buffer) => {
      this.lastSeen = performance.now();
      this.unconfirmed.get(data.toString('latin1'))?.(true);
    });
    this.closed = new Promise((resolve) => {
      client.once('close', (code: number) => {
        this.drain();
        for (const settle of this.unconfirmed.values()) settle(false);
        resolve(code);
      });
    });
  }

  logFields(): LogFields {
    const { id, handshake, principal, workspaceId } = this;
    const { requestId, traceId } = handshake;
    const name = principal && `${principal.kind}:${principal.id}`;
    return { connectionId: id, requestId, traceId, principal: name, workspaceId };
  }

  /** In whose rooms it was; `undefined` if in nobody's yet, or in those of several. */
  get workspaceId(): string | undefined {
    return this.workspace ?? undefined;
  }

  /** Takes note of whose a room is that was joined. */
  entered(workspaceId: string): void {
    this.workspace = this.workspace === undefined || this.workspace === workspaceId ? workspaceId : null;
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

  /**
   * Whether the peer has received what was sent until now: a ping behind it is answered (RFC 6455, section 5.5.3),
   * which WebSocket libraries do by themselves.
   * @returns false when it closes before
   */
  async confirm(): Promise<boolean> {
    if (!this.isOpen) return false;
    const name = String(++this.confirmations);
    const answer = new Promise<boolean>((resolve) => this.unconfirmed.set(name, resolve));
    this.flushPending();
    this.client.ping(name);
    const confirmed = await answer;
    this.unconfirmed.delete(name);
    return confirmed;
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
