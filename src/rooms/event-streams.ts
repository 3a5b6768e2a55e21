import {
  type BeforeApplicationShutdown,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import type { Response } from 'express';
import { endsWith, type Principal } from '../common/access.js';
import { Clock } from '../common/clock.js';
import { Unavailable } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';
import { SessionRevocations } from '../sessions/session-revocations.js';
import { SessionRevoked } from '../sessions/sessions.errors.js';
import { CloseCode } from './close-codes.js';
import { begin, EventStream } from './event-stream.js';
import type { FollowEventsQuery } from './events.dto.js';
import { Outbox } from './outbox.js';
import { RoomDirectory } from './room-directory.js';
import { RoomHub } from './room-hub.js';
import { RoomNotFound, TooManyStreams } from './rooms.errors.js';
import { Tally } from './tally.js';

/** How often the one timer looks at every stream. */
const ROUND_MS = 1_000;
/** A reader that has not caught up after this time is not going to. */
const LAG_MS = 20_000;
/** A reader gets this long for the end of its stream. */
const CLOSING_MS = 2_000;

/** Every server-sent event stream of this instance, and the one timer that watches over all of them. */
@Injectable()
export class EventStreams implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly open = new Set<EventStream>();
  private readonly byPrincipal = new Tally();
  private readonly outbox = new Outbox();
  private timer: NodeJS.Timeout | undefined;
  private stopping = false;
  private whenEmpty: (() => void) | undefined;

  constructor(
    private readonly hub: RoomHub,
    private readonly directory: RoomDirectory,
    private readonly revocations: SessionRevocations,
    private readonly clock: Clock,
    private readonly config: AtriumConfig,
  ) {}

  /** How many are open. */
  get count(): number {
    return this.open.size;
  }

  onModuleInit(): void {
    this.revocations.onRevoked((ended) => {
      for (const stream of this.open)
        if (endsWith(stream.principal, ended)) stream.close(CloseCode.REVOKED, 'session revoked');
    });
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.round(), ROUND_MS).unref();
  }

  /** Tells every client to come back, elsewhere, and waits a moment for them to read it. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    clearInterval(this.timer);
    for (const stream of this.open) stream.close(CloseCode.RESTARTING, 'restarting');
    if (this.open.size === 0) return;
    await new Promise<void>((resolve) => {
      this.whenEmpty = resolve;
      setTimeout(resolve, CLOSING_MS).unref();
    });
    for (const stream of this.open) stream.terminate();
  }

  /**
   * Answers with what happens in a room, until one side has enough. To HEAD, with the headers alone.
   * @param lastEventId the cursor that a client came to before its stream broke; goes before `after`
   * @throws {RoomNotFound}
   * @throws {import('./rooms.errors.js').InvalidCursor}
   * @throws {TooManyStreams}
   * @throws {SessionRevoked}
   */
  async follow(
    principal: Principal,
    { room, after }: FollowEventsQuery,
    lastEventId: string | undefined,
    response: Response,
  ): Promise<void> {
    const authorise = () => this.directory.authorise(principal, room);
    if (this.stopping) throw new Unavailable('This instance is stopping; try again elsewhere.');
    if (response.req.method === 'HEAD') {
      await authorise();
      begin(response);
      response.end();
      return;
    }
    const stream = this.register(principal, response);
    const { joined, subscription } = await this.hub.join(stream, room, authorise, lastEventId || after);
    // What ended while the question was under way found a stream that had not begun.
    if (this.revocations.hasEnded(principal)) throw new SessionRevoked();
    if (!subscription.active) throw new RoomNotFound();
    if (!stream.isWanted) return;
    stream.begin(joined);
    this.hub.start(subscription);
  }

  /** Counts a stream, and forgets it with all its rooms when its answer is over, however it went. */
  private register(principal: Principal, response: Response): EventStream {
    const { streamsPerPrincipal, bufferLimitBytes } = this.config.sockets;
    if (this.byPrincipal.of(principal.id) >= streamsPerPrincipal)
      throw new TooManyStreams(streamsPerPrincipal);
    const stream = new EventStream(principal, response, this.outbox, bufferLimitBytes);
    this.byPrincipal.add(principal.id);
    this.open.add(stream);
    response.once('close', () => {
      this.byPrincipal.remove(principal.id);
      this.open.delete(stream);
      this.hub.leaveAll(stream);
      if (this.open.size === 0) this.whenEmpty?.();
    });
    return stream;
  }

  private round(): void {
    const now = performance.now();
    const time = this.clock.now();
    const { heartbeatMs } = this.config.sockets;
    for (const stream of this.open) {
      if (!stream.isOpen) continue;
      if (stream.principal.expiresAt <= time) this.giveUp(stream, CloseCode.TOKEN_EXPIRED, 'token expired');
      else if (stream.lagStart !== undefined && now - stream.lagStart > LAG_MS)
        this.giveUp(stream, CloseCode.TOO_SLOW, 'resume from the cursor');
      else if (now - stream.lastBeat > heartbeatMs && !stream.isLagging) stream.beat(now);
    }
  }

  /** Ends a stream whose reader may not even read the end, which waits behind what it has not read. */
  private giveUp(stream: EventStream, code: CloseCode, reason: string): void {
    stream.close(code, reason);
    setTimeout(() => stream.terminate(), CLOSING_MS).unref();
  }
}
