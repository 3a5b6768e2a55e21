import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Bus, type BusListener } from '../bus/bus.js';
import { isOwnTraceparent } from '../common/traceparent.js';
import { traces } from '../common/traces.js';
import { RoomHub } from './room-hub.js';

const CHANNEL = 'rooms';

/**
 * Messages that are not kept: for the sockets that are in the room now, at every instance that the bus reaches. Who
 * may say it is decided before, here; who hears it is whoever is in the room there.
 */
@Injectable()
export class EphemeralMessages implements BusListener, OnModuleInit {
  constructor(
    private readonly hub: RoomHub,
    private readonly bus: Bus,
  ) {}

  onModuleInit(): void {
    this.bus.subscribe(CHANNEL, this);
  }

  /**
   * Sends a message to everybody who is in the room.
   * @param id of the event
   * @param event the CloudEvents object as JSON text, with the room as its subject
   * @param traceparent where it was said, if that is recorded
   */
  send(room: string, id: string, event: string, traceparent?: string): void {
    this.broadcast(room, event, traceparent);
    this.bus.publish(CHANNEL, `${room} ${id}`, event);
  }

  told(entries: ReadonlyMap<string, string>): void {
    for (const [key, event] of entries) {
      const [room = ''] = key.split(' ');
      // Rooms that nobody here is in cost no more than this.
      if (!this.hub.hasRoom(room)) continue;
      const { subject, traceparent } = attributesOf(event);
      if (subject === room) this.broadcast(room, event, traceparent);
    }
  }

  /** What is not kept cannot be looked for. */
  missed(): void {}

  private broadcast(room: string, event: string, traceparent: string | undefined): void {
    const startedAt = traceparent === undefined ? 0 : performance.now();
    const subscribers = this.hub.broadcast(room, event);
    if (traceparent === undefined || subscribers === 0) return;
    const delivery = { traceparent, id: undefined, type: undefined, subject: room, subscribers, startedAt };
    traces?.delivered(delivery);
  }
}

/** What is to be known of a text that is a JSON object. */
function attributesOf(text: string): { subject?: unknown; traceparent?: string | undefined } {
  try {
    const event: unknown = JSON.parse(text);
    if (typeof event !== 'object' || event === null) return {};
    const { subject, traceparent } = event as { subject?: unknown; traceparent?: unknown };
    const isTraced = typeof traceparent === 'string' && isOwnTraceparent(traceparent);
    return { subject, traceparent: isTraced ? traceparent : undefined };
  } catch {
    return {};
  }
}
