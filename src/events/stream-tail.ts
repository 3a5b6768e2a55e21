import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '../bus/bus.js';
import { reasonOf } from '../common/reason.js';
import { StandingFault } from '../common/standing-fault.js';
import { isOwnTraceparent } from '../common/traceparent.js';
import { traces } from '../common/traces.js';
import { AtriumConfig } from '../config/config.js';
import { Announcements, HEADS_CHANNEL } from './announcements.js';
import { Epoch } from './epoch.js';
import { ToldTraces, TRACES_CHANNEL } from './event-traces.js';
import { EventsGoneError } from './events-gone.js';
import { FollowedStream } from './followed-stream.js';
import type { StreamEvent } from './stream-event.js';
import { eventsHandedOn } from './stream-observations.js';
import { FIRST_PAGE_EVENTS, nextPageEvents, type StreamHead, Streams } from './streams.js';

/** Why followers must fetch the state anew. */
export type ResetReason = 'epoch_changed' | 'cursor_too_old';

/** Receives the events of followed streams: each once, in order of `seq`, without gaps. */
export interface TailListener {
  onEvents(stream: FollowedStream, events: readonly StreamEvent[]): void;
  /** Nobody can go on from where they were: what is in between is not to be had, or of another history. */
  onReset(stream: FollowedStream, reason: ResetReason): void;
  /** The stream has ended, and with it every event of it. */
  onEnd(stream: FollowedStream): void;
}

/** An announcement that overtook another waits this long for it before the database is asked. */
const OVERTAKING_MS = 20;

/**
 * Follows streams for this instance. Announcements here, and heads that other instances tell of, make it fast; the
 * sweep, which compares the heads in the database with what was handed on, makes it complete: a lost announcement or
 * a crash between commit and announcement costs at most `STREAM_SWEEP_MS`, never an event.
 */
@Injectable()
export class StreamTail implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(StreamTail.name);
  private readonly fault = new StandingFault(this.logger, 'sweep the streams');
  private readonly followed = new Map<string, { followers: number; stream: Promise<FollowedStream> }>();
  private readonly live = new Map<string, FollowedStream>();
  private readonly filling = new Set<string>();
  /** Streams that are being read on since somebody told of a head: how far they are said to be. */
  private readonly pursued = new Map<FollowedStream, number>();
  private readonly listeners: TailListener[] = [];
  private readonly toldTraces = new ToldTraces();
  private sweepTimer: NodeJS.Timeout | undefined;
  private sweeping = false;
  /** Whether the history has become another one, and not every stream was reset for that. */
  private isAnother = false;
  private stopped = false;

  constructor(
    private readonly streams: Streams,
    private readonly epoch: Epoch,
    private readonly config: AtriumConfig,
    announcements: Announcements,
    bus: Bus,
  ) {
    announcements.listen((events) => this.announced(events));
    bus.subscribe(HEADS_CHANNEL, {
      told: (heads) => this.told(heads),
      missed: () => void this.sweep(),
    });
    bus.subscribe(TRACES_CHANNEL, {
      told: (entries) => this.toldOfTraces(entries),
      missed: () => undefined,
    });
  }

  onApplicationBootstrap(): void {
    this.sweepTimer = setInterval(() => void this.sweep(), this.config.streams.sweepMs).unref();
  }

  onApplicationShutdown(): void {
    this.stopped = true;
    clearInterval(this.sweepTimer);
  }

  /** How many streams are followed. */
  get followedCount(): number {
    return this.live.size;
  }

  listen(listener: TailListener): void {
    this.listeners.push(listener);
  }

  /** Starts following, or joins those who do already; from its present head on. Undone by {@link unfollow}. */
  async follow(streamId: string): Promise<FollowedStream> {
    let following = this.followed.get(streamId);
    if (!following) {
      following = { followers: 0, stream: this.start(streamId) };
      this.followed.set(streamId, following);
    }
    following.followers++; // before the wait, so that nobody lets go meanwhile
    try {
      return await following.stream;
    } catch (error) {
      this.unfollow(streamId);
      throw error;
    }
  }

  /** Ends one {@link follow}; the last one lets the stream go. */
  unfollow(streamId: string): void {
    const following = this.followed.get(streamId);
    if (!following || --following.followers > 0) return;
    this.followed.delete(streamId);
    this.live.delete(streamId);
  }

  /** Hands on everything that is committed by now. */
  async catchUp(stream: FollowedStream): Promise<void> {
    await this.readOn(stream);
  }

  private async start(streamId: string): Promise<FollowedStream> {
    const [{ head, accessSeq }] = await this.streams.heads([streamId]);
    const stream = new FollowedStream(streamId, head, accessSeq);
    if (this.followed.has(streamId)) this.live.set(streamId, stream);
    return stream;
  }

  private announced(events: readonly StreamEvent[]): void {
    const [first] = events;
    if (first === undefined || this.live.size === 0) return;
    const byStream = Map.groupBy(events, (event) => event.streamId);
    for (const [streamId, group] of byStream) {
      const stream = this.live.get(streamId);
      if (!stream) continue;
      this.handOn(stream, group);
      if (stream.hasGap && !this.filling.has(streamId)) {
        this.filling.add(streamId);
        setTimeout(() => void this.fill(stream), OVERTAKING_MS).unref();
      }
    }
  }

  /** Heads as other instances tell them, by stream; possibly wrong. */
  private told(heads: ReadonlyMap<string, string>): void {
    for (const [streamId, text] of heads) {
      const stream = this.live.get(streamId);
      const head = Number(text);
      if (!stream || !Number.isSafeInteger(head) || head <= stream.position) continue;
      const pursued = this.pursued.get(stream);
      this.pursued.set(stream, Math.max(head, pursued ?? 0));
      if (pursued === undefined) void this.pursue(stream);
    }
  }

  /** In which traces other instances wrote what is read here now. */
  private toldOfTraces(entries: ReadonlyMap<string, string>): void {
    if (traces === undefined) return;
    for (const [key, traceparent] of entries) {
      const [streamId = ''] = key.split(' ', 1);
      if (this.live.has(streamId) && isOwnTraceparent(traceparent)) this.toldTraces.keep(key, traceparent);
    }
  }

  /** Reads on until the stream is as far as it is said to be, one read at a time however many tell of it. */
  private async pursue(stream: FollowedStream): Promise<void> {
    try {
      for (let position = -1; position < stream.position && this.lagsBehindWord(stream);) {
        ({ position } = stream);
        await this.readOn(stream);
      }
      // There is nothing to read up to there: perhaps the stream has ended, perhaps it is not true.
      if (this.lagsBehindWord(stream)) await this.sweep();
    } catch (error) {
      // The sweep tries again.
      this.logger.warn(`Cannot read on in stream ${stream.id}: ${reasonOf(error)}`);
    } finally {
      this.pursued.delete(stream);
    }
  }

  private lagsBehindWord(stream: FollowedStream): boolean {
    return stream.position < (this.pursued.get(stream) ?? 0);
  }

  private handOn(stream: FollowedStream, events: readonly StreamEvent[]): void {
    const due = stream.receive(events);
    const newest = due.at(-1);
    if (!newest) return;
    this.toldTraces.recall(due);
    for (const listener of this.listeners) listener.onEvents(stream, due);
    if (eventsHandedOn.isWanted) eventsHandedOn.tell({ writtenAt: newest.writtenAt });
  }

  /** Reads what lies between the position and what is known to exist. */
  private async fill(stream: FollowedStream): Promise<void> {
    try {
      if (stream.hasGap) await this.readOn(stream);
    } catch (error) {
      // The sweep tries again.
      this.logger.warn(`Cannot read on in stream ${stream.id}: ${reasonOf(error)}`);
    } finally {
      this.filling.delete(stream.id);
    }
  }

  private async readOn(stream: FollowedStream): Promise<void> {
    let limit = FIRST_PAGE_EVENTS;
    for (;;) {
      if (this.stopped || this.live.get(stream.id) !== stream) return;
      const { position } = stream;
      const events = await this.read(stream, limit);
      if (events?.length === 0) return;
      if (events) this.handOn(stream, events);
      // The next event is there no more, and asking again would not bring it back.
      if (stream.position === position) return this.skip(stream);
      limit = nextPageEvents(events?.length ?? 1);
    }
  }

  /** The next page; `undefined` if what comes next is not kept any more. */
  private async read(stream: FollowedStream, limit: number): Promise<StreamEvent[] | undefined> {
    try {
      return await this.streams.read(stream.id, stream.position, limit);
    } catch (error) {
      if (error instanceof EventsGoneError) return undefined;
      throw error;
    }
  }

  /** Goes on from the end: better told than waiting for what does not come. */
  private async skip(stream: FollowedStream): Promise<void> {
    const [found] = await this.streams.heads([stream.id]);
    this.logger.warn(
      `Stream ${stream.id} has lost what comes after ${stream.position}: going on from ${found.head}`,
    );
    this.restart(stream, found, 'cursor_too_old');
  }

  private restart(stream: FollowedStream, { head, accessSeq }: StreamHead, reason: ResetReason): void {
    stream.restart(head, accessSeq);
    for (const listener of this.listeners) listener.onReset(stream, reason);
  }

  /** Compares the history, and the heads of all followed streams with their positions. */
  private async sweep(): Promise<void> {
    if (this.sweeping) return;
    this.sweeping = true;
    try {
      // Also while nobody follows: answers name the epoch. A failover may have given numbers out again by now, so
      // where a stream stands does not tell.
      if (await this.epoch.refresh()) this.isAnother = true;
      // The positions of before the question: announcements go on while it is under way.
      const asked = [...this.live.values()].map((stream) => ({ stream, position: stream.position }));
      const heads = asked.length > 0 ? await this.streams.heads(asked.map(({ stream }) => stream.id)) : [];
      for (const [n, { stream, position }] of asked.entries()) {
        const found = heads[n];
        if (found.ended) this.end(stream);
        else if (this.isAnother || found.head < position) await this.reset(stream, found);
        else if (found.head > stream.position) await this.readOn(stream);
      }
      this.isAnother = false;
      this.fault.passed();
    } catch (error) {
      this.fault.failed(error);
    } finally {
      this.sweeping = false;
    }
  }

  /** The database knows less than this instance: it was restored, or a failover lost commits. */
  private async reset(stream: FollowedStream, found: StreamHead): Promise<void> {
    await this.epoch.refresh();
    this.restart(stream, found, 'epoch_changed');
  }

  private end(stream: FollowedStream): void {
    if (this.live.get(stream.id) !== stream) return;
    for (const listener of this.listeners) listener.onEnd(stream);
  }
}
