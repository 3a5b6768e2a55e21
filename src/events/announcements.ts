import { Injectable, Logger } from '@nestjs/common';
import type { StreamEvent } from './stream-event.js';

/** Told of committed events. In order within one call, but calls may overtake each other. */
export type AnnouncementListener = (events: readonly StreamEvent[]) => void;

/**
 * Says after a commit what was appended. A hint and an optimisation, never the record: whoever follows a
 * stream finds out by its `seq` when one was missed, and reads it.
 */
@Injectable()
export class Announcements {
  private readonly logger = new Logger(Announcements.name);
  private readonly listeners: AnnouncementListener[] = [];

  listen(listener: AnnouncementListener): void {
    this.listeners.push(listener);
  }

  /**
   * Call only after the commit: a listener may deliver at once. Never throws, since the write has happened
   * whatever a listener makes of it.
   */
  announce(events: readonly StreamEvent[]): void {
    if (events.length === 0) return;
    for (const listener of this.listeners) {
      try {
        listener(events);
      } catch (error) {
        this.logger.error(error);
      }
    }
  }
}
