import { Injectable, Logger } from '@nestjs/common';
import { Bus } from '../bus/bus.js';
import { traces } from '../common/traces.js';
import { traceEvents, traceKey, TRACES_CHANNEL } from './event-traces.js';
import type { StreamEvent } from './stream-event.js';

/** The channel on which instances tell each other how far streams are: the `seq` by the stream's id. */
export const HEADS_CHANNEL = 'streams';

/** Told of committed events. In order within one call, but calls may overtake each other. */
export type AnnouncementListener = (events: readonly StreamEvent[]) => void;

/**
 * Says after a commit what was appended: the events to this instance, the heads of their streams to the others. A
 * hint and an optimisation, never the record: whoever follows a stream finds out by its `seq` when one was missed, and
 * reads it.
 */
@Injectable()
export class Announcements {
  private readonly logger = new Logger(Announcements.name);
  private readonly listeners: AnnouncementListener[] = [];

  constructor(private readonly bus: Bus) {}

  listen(listener: AnnouncementListener): void {
    this.listeners.push(listener);
  }

  /**
   * Call only after the commit: a listener may deliver at once. Never throws, since the write has happened
   * whatever a listener makes of it.
   */
  announce(events: readonly StreamEvent[]): void {
    if (events.length === 0) return;
    if (traces !== undefined) traceEvents(events);
    for (const listener of this.listeners) {
      try {
        listener(events);
      } catch (error) {
        this.logger.error(error);
      }
    }
    // In order of `seq` within a stream, and of what waits for one stream the last is told.
    for (const event of events) {
      const { streamId, seq, traceparent } = event;
      if (traceparent !== undefined) this.bus.publish(TRACES_CHANNEL, traceKey(event), traceparent);
      this.bus.publish(HEADS_CHANNEL, streamId, String(seq));
    }
  }
}
