import { Injectable, Logger } from '@nestjs/common';
import { reasonOf } from '../common/reason.js';
import { parseCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { EventsGoneError } from '../events/events-gone.js';
import type { FollowedStream } from '../events/followed-stream.js';
import type { StreamEvent } from '../events/stream-event.js';
import { StreamTail } from '../events/stream-tail.js';
import { nextPageEvents, PAGE_BYTES, Streams } from '../events/streams.js';
import { CloseCode } from './close-codes.js';
import type { Subscription } from './room.js';
import { InvalidCursor } from './rooms.errors.js';

/** Where a subscriber starts in a room. */
export interface Start {
  /** Everything after it follows. */
  readonly position: number;
  /** Whether every event after the cursor that was asked for follows. */
  readonly recovered: boolean;
  /** Why not; then the state must be fetched anew. */
  readonly reason?: 'epoch_changed' | 'cursor_ahead' | 'cursor_too_old';
}

/**
 * Brings those who are behind up to where their stream is, from its recent events or from the database. In the turn
 * in which nothing is missing any more they are live: there is no wait between that look and it.
 */
@Injectable()
export class CatchUp {
  private readonly logger = new Logger(CatchUp.name);

  constructor(
    private readonly streams: Streams,
    private readonly tail: StreamTail,
    private readonly epoch: Epoch,
  ) {}

  /**
   * Where a joining subscriber starts.
   * @param after the cursor to resume from
   * @throws {InvalidCursor}
   */
  async resolve(stream: FollowedStream, after: string | undefined): Promise<Start> {
    if (after === undefined) return { position: stream.position, recovered: false };
    const cursor = parseCursor(after);
    if (!cursor) throw new InvalidCursor();
    if (cursor.epoch !== this.epoch.current)
      return { position: stream.position, recovered: false, reason: 'epoch_changed' };
    if (cursor.seq > stream.position) await this.tail.catchUp(stream);
    if (cursor.seq > stream.position)
      return { position: stream.position, recovered: false, reason: 'cursor_ahead' };
    // What is at hand is kept; of the rest the database must say.
    if (!stream.since(cursor.seq)) {
      const [{ minSeq }] = await this.streams.heads([stream.id]);
      if (cursor.seq + 1 < minSeq)
        return { position: stream.position, recovered: false, reason: 'cursor_too_old' };
    }
    return { position: cursor.seq, recovered: true };
  }

  /**
   * Sends what a subscription lacks, until it is live, ends, or cannot go on.
   * @param putOut takes it out of the room, and says why
   */
  async run(subscription: Subscription, putOut: (code: string) => void): Promise<void> {
    const { subscriber, room } = subscription;
    try {
      for (;;) {
        await subscriber.whenDrained();
        if (!subscription.active || !subscriber.isOpen) return;
        const { ending } = subscription;
        if (ending && subscription.position >= ending.seq - 1) {
          putOut(ending.code);
          return;
        }
        const recent = room.stream.since(subscription.position);
        if (!recent) {
          await this.sendPage(subscription);
        } else if (this.sendWhatFits(subscription, recent)) {
          room.live.add(subscription);
          return;
        }
      }
    } catch (error) {
      if (!subscription.active) return;
      if (error instanceof EventsGoneError) {
        putOut('cursor_too_old');
        return;
      }
      this.logger.warn(`Cannot catch up in ${room.name}: ${reasonOf(error)}`);
      subscriber.close(CloseCode.TOO_SLOW, 'resume from the cursor');
    }
  }

  /** Reads and sends the next page after the subscription's position. */
  private async sendPage(subscription: Subscription): Promise<void> {
    const { subscriber, room, position, pageEvents } = subscription;
    const known = room.stream.position;
    const bytes = Math.min(PAGE_BYTES, subscriber.lagBytes); // no more than can be sent at once
    const events = room.isWorkspace
      ? await this.streams.read(room.stream.id, position, pageEvents, bytes)
      : await this.streams.readSubject(room.stream.id, room.name, position, pageEvents, bytes);
    if (!subscription.active) return;
    // The database may be ahead: what this instance has not handed on yet will come to all, when its turn comes.
    const due = events.filter(({ seq }) => seq <= room.stream.position);
    const sentAll = this.sendWhatFits(subscription, due);
    if (sentAll && due.length < events.length) subscription.position = room.stream.position;
    // The end of a room's own events says that there are none up to what was known before the question.
    else if (events.length === 0) subscription.position = Math.max(position, known);
    subscription.pageEvents = nextPageEvents(Math.max(events.length, 1));
  }

  /**
   * Sends events, and moves the position, until the reader lags.
   * @returns whether all were sent
   */
  private sendWhatFits(subscription: Subscription, events: readonly StreamEvent[]): boolean {
    const { subscriber, room } = subscription;
    const frames = room.framesOn(subscriber.wire);
    for (const event of events) {
      const last = (subscription.ending?.seq ?? Infinity) - 1;
      if (event.seq > last) subscription.position = last;
      if (subscriber.isLagging || event.seq > last) return false;
      if (room.includes(event)) subscriber.send(frames.of(event));
      subscription.position = event.seq;
    }
    return true;
  }
}
