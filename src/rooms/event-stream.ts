import type { ServerResponse } from 'node:http';
import type { Principal } from '../common/access.js';
import { CloseCode } from './close-codes.js';
import type { Outbox } from './outbox.js';
import type { Joined } from './room-hub.js';
import { Subscriber } from './subscriber.js';
import type { Wire } from './wire.js';

/** A client that lost its stream comes back after a random time from the first to the second, in ms. */
const RETRY_MS = [1_000, 3_000] as const;
/** As {@link RETRY_MS}, where all clients of an instance lose it at once. */
const RETRY_TOGETHER_MS = [1_000, 10_000] as const;

/** A comment: keeps what stands between from taking the stream for dead. */
const HEARTBEAT = Buffer.from(':\n\n');

/**
 * Messages as server-sent events (WHATWG HTML, section 9.2): the same names and data as the frames of sockets. What
 * has a cursor has it as its `id`, which a client that comes back sends as `Last-Event-ID`. JSON has no line breaks.
 */
export const STREAM_WIRE: Wire = {
  message: (event, data) => Buffer.from(serverSentEvent(event, JSON.stringify(data))),
  event: (room, event, cursor) => {
    const position = cursor === undefined ? '' : `"cursor":"${cursor}",`;
    return Buffer.from(serverSentEvent('event', `{"room":"${room}",${position}"event":${event}}`, cursor));
  },
};

/** One answer that goes on: what happens in one room, as server-sent events. */
export class EventStream extends Subscriber {
  /** When the last heartbeat went out, by {@link performance.now}. */
  lastBeat = performance.now();
  private state: 'preparing' | 'open' | 'ended' = 'preparing';

  constructor(
    override readonly principal: Principal,
    private readonly response: ServerResponse,
    outbox: Outbox,
    bufferLimit: number,
  ) {
    super(STREAM_WIRE, outbox, bufferLimit);
    response.once('close', () => {
      this.state = 'ended';
      this.drain();
    });
  }

  get isOpen(): boolean {
    return this.state === 'open';
  }

  /** Whether there is still somebody to answer. */
  get isWanted(): boolean {
    return this.state !== 'ended';
  }

  /** Begins the answer. */
  begin(joined: Joined): void {
    begin(this.response);
    this.state = 'open';
    const first = `retry: ${within(RETRY_MS)}\n${serverSentEvent('joined', JSON.stringify(joined), joined.cursor)}`;
    this.send(Buffer.from(first));
  }

  beat(now: number): void {
    this.lastBeat = now;
    this.send(HEARTBEAT);
  }

  /** Ends with `close {code, reason}`, as a socket would be closed. */
  close(code: CloseCode, reason: string): void {
    if (!this.isOpen) return;
    const retry = code === CloseCode.RESTARTING ? `retry: ${within(RETRY_TOGETHER_MS)}\n` : '';
    this.end(Buffer.from(retry + serverSentEvent('close', JSON.stringify({ code, reason }))));
  }

  /** There is but one room: `left` was the last word. */
  override roomLost(): void {
    if (this.isOpen) this.end();
  }

  /** For a reader that does not read the end either. */
  terminate(): void {
    this.response.destroy();
  }

  protected get unsentBytes(): number {
    return this.response.writableLength;
  }

  protected write(bytes: Buffer, written?: () => void): void {
    this.response.write(bytes, written);
  }

  private end(last?: Buffer): void {
    this.flushPending();
    this.state = 'ended';
    if (last) this.response.end(last);
    else this.response.end();
  }
}

/** Sends the headers of an answer that goes on: nothing on the way is to keep, change or collect it. */
export function begin(response: ServerResponse): void {
  response.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-store',
    'X-Accel-Buffering': 'no',
    // Nothing else comes over this connection, and when it is over everybody knows.
    Connection: 'close',
  });
  response.flushHeaders();
}

function serverSentEvent(event: string, data: string, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`;
}

function within([from, to]: readonly [number, number]): number {
  return Math.round(from + Math.random() * (to - from));
}
