import { Logger, type WsMessageHandler } from '@nestjs/common';
import { lastValueFrom, type Observable } from 'rxjs';
import type { WebSocket } from 'ws';
import { withLogContext } from '../common/log-context.js';
import { isJsonObject, JsonRefused, type JsonValue, parseJsonBytes } from '../common/json.js';
import { type Problem, Unauthenticated, ValidationFailed } from '../common/problem.js';
import { traces } from '../common/traces.js';
import { CloseCode } from './close-codes.js';
import type { Connection } from './connection.js';
import { MalformedFrame, UnknownFrame } from './rooms.errors.js';
import { errorData } from './frame-problem.filter.js';

type Transform = (data: unknown) => Observable<unknown>;

interface Frame {
  readonly event: string;
  readonly data: JsonValue;
  readonly id?: number;
  /** Where the client's own work stands (W3C Trace Context, section 3.2). */
  readonly traceparent?: string;
}

/** With more frames than this waiting, the socket is not read until some are done. */
const MAX_WAITING = 64;
/** A client may save up this many seconds' worth of frames. */
const BURST_SECONDS = 2;
/** Comes all the time, and does nothing that would be worth a trace. */
const SIGN_OF_LIFE = 'ping';
/** Where what a frame says stands in it. */
const DATA = '/data';
/** A client that sends this many frames in a row that are not frames does not speak the protocol. */
const MAX_MALFORMED = 10;

/**
 * Handles the frames of one socket one after another, in order, each answered or answered with an error.
 * The handlers are Nest's, with the gateway's guards, pipes and filters around them.
 */
export class FrameQueue {
  private readonly logger = new Logger(FrameQueue.name);
  private readonly handlers = new Map<string, (data: JsonValue) => Observable<unknown>>();
  private readonly waiting: Buffer[] = [];
  private running = false;
  private malformed = 0;
  private allowance: number;
  private allowanceAt = performance.now();

  /** @param framesPerSecond how many frames the client may send in the long run */
  constructor(
    private readonly client: WebSocket,
    private readonly connection: Connection,
    private readonly framesPerSecond: number,
  ) {
    this.allowance = framesPerSecond * BURST_SECONDS;
    client.on('message', (bytes: Buffer, isBinary: boolean) => this.receive(bytes, isBinary));
    // When every gateway has said what it handles.
    this.running = true;
    queueMicrotask(() => this.start());
  }

  /** Adds what one gateway handles. */
  add(handlers: readonly WsMessageHandler[], transform: Transform): void {
    for (const { message, callback } of handlers)
      this.handlers.set(message, (data) => transform(callback(data, message) as unknown));
  }

  private receive(bytes: Buffer, isBinary: boolean): void {
    this.connection.lastSeen = performance.now();
    if (!this.connection.isOpen) return;
    if (isBinary) return this.connection.close(CloseCode.PROTOCOL_ERROR, 'frames are JSON text');
    if (!this.isAllowed()) return this.connection.close(CloseCode.TOO_MANY_FRAMES, 'too many frames');
    this.waiting.push(bytes);
    if (this.waiting.length >= MAX_WAITING) this.client.pause();
    if (!this.running) this.start();
  }

  private isAllowed(): boolean {
    const now = performance.now();
    const earned = ((now - this.allowanceAt) / 1_000) * this.framesPerSecond;
    this.allowanceAt = now;
    this.allowance = Math.min(this.framesPerSecond * BURST_SECONDS, this.allowance + earned) - 1;
    return this.allowance >= 0;
  }

  private start(): void {
    this.running = true;
    withLogContext(this.connection, () => this.run()).catch((error: unknown) => {
      // Handlers do not throw, so this is a mistake of ours: the client can only start again.
      this.logger.error(error);
      this.connection.close(CloseCode.INTERNAL, 'internal error');
    });
  }

  private async run(): Promise<void> {
    await this.enterFirstRoom();
    for (let bytes = this.waiting.shift(); bytes; bytes = this.waiting.shift()) {
      if (this.client.isPaused && this.waiting.length < MAX_WAITING / 2) this.client.resume();
      // Who does not read the answers is not asked for more questions.
      if (this.connection.isLagging) await this.connection.whenDrained();
      await this.handleBytes(bytes);
      await this.enterFirstRoom();
    }
    this.running = false;
  }

  /** `/ws/{room}` joins that room as soon as it is known who asks. */
  private async enterFirstRoom(): Promise<void> {
    const { firstRoom: room, principal } = this.connection;
    if (room === undefined || !principal) return;
    this.connection.firstRoom = undefined;
    await this.handle({ event: 'join', data: { room } });
  }

  private async handleBytes(bytes: Buffer): Promise<void> {
    const frame = parseFrame(bytes);
    if (!('refusal' in frame)) {
      this.malformed = 0;
      return this.handle(frame);
    }
    this.refuse(frame.refusal, frame.id);
    if (!(frame.refusal instanceof MalformedFrame)) this.malformed = 0;
    else if (++this.malformed >= MAX_MALFORMED)
      this.connection.close(CloseCode.PROTOCOL_ERROR, frame.refusal.detail);
  }

  private async handle({ event, data, id, traceparent }: Frame): Promise<void> {
    if (!this.connection.isOpen) return;
    const handler = this.handlers.get(event);
    if (!this.connection.principal && event !== 'auth') {
      this.refuse(new Unauthenticated('The first frame must be auth, with an access token.'), id);
      this.connection.close(CloseCode.UNAUTHENTICATED, 'authenticate first');
    } else if (!handler) {
      this.refuse(new UnknownFrame([...this.handlers.keys()]), id);
    } else {
      this.connection.frameId = id;
      // Errors have become answers by the gateway's filter.
      if (traces === undefined || event === SIGN_OF_LIFE) await answered(handler(data));
      else
        await traces.runFrame(event, traceparent, this.connection.logFields(), () => answered(handler(data)));
      this.connection.frameId = undefined;
    }
  }

  private refuse(problem: Problem, id: number | undefined): void {
    this.connection.frameId = id;
    this.connection.reply('error', errorData(problem));
    this.connection.frameId = undefined;
  }
}

const answered = (handling: Observable<unknown>): Promise<unknown> =>
  lastValueFrom(handling, { defaultValue: undefined });

/** A frame that cannot be handled, and the id under which it is told so, if it has one. */
interface RefusedFrame {
  readonly refusal: Problem;
  readonly id: number | undefined;
}

function parseFrame(bytes: Buffer): Frame | RefusedFrame {
  let frame: JsonValue;
  try {
    frame = parseJsonBytes(bytes);
  } catch (error) {
    if (!(error instanceof JsonRefused)) throw error;
    return { refusal: refusalOf(error), id: idIn(bytes) };
  }
  if (!isJsonObject(frame))
    return malformed('A frame must be a JSON object with event, data and maybe id.', undefined);
  const { event, data = {}, id, traceparent } = frame;
  if (!isFrameId(id)) return malformed('id must be a whole number.', undefined);
  if (typeof event !== 'string') return malformed('event must be a text.', id);
  const given = { event, data, id };
  // As with requests, what is no `traceparent` is as good as none.
  return typeof traceparent === 'string' ? { ...given, traceparent } : given;
}

const malformed = (detail: string, id: number | undefined): RefusedFrame => ({
  refusal: new MalformedFrame(detail),
  id,
});

const isFrameId = (id: unknown): id is number | undefined => id === undefined || Number.isSafeInteger(id);

/** What could not be given back unchanged is told as it is of a body: where, if it is in what the frame says. */
function refusalOf({ problem: { pointer, detail } }: JsonRefused): Problem {
  return pointer.startsWith(`${DATA}/`) || pointer === DATA
    ? new ValidationFailed([{ pointer: pointer.slice(DATA.length), detail }])
    : new MalformedFrame(`The frame ${pointer} ${detail}.`.replace('  ', ' '));
}

/** The id of a frame that is JSON, but could not be kept as it is: it is bounded, and nothing else of it is used. */
function idIn(bytes: Buffer): number | undefined {
  try {
    const { id } = JSON.parse(bytes.toString('utf8')) as { id?: unknown };
    return isFrameId(id) ? id : undefined;
  } catch {
    return undefined;
  }
}
