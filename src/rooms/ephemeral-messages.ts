import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Bus, type BusListener } from '../bus/bus.js';
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
   */
  send(room: string, id: string, event: string): void {
    this.hub.broadcast(room, event);
    this.bus.publish(CHANNEL, `${room} ${id}`, event);
  }

  told(entries: ReadonlyMap<string, string>): void {
    for (const [key, event] of entries) {
      const [room = ''] = key.split(' ');
      // Rooms that nobody here is in cost no more than this.
      if (this.hub.hasRoom(room) && subjectOf(event) === room) this.hub.broadcast(room, event);
    }
  }

  /** What is not kept cannot be looked for. */
  missed(): void {}
}

/** The subject of a text that is a JSON object with one. */
function subjectOf(text: string): string | undefined {
  try {
    const event: unknown = JSON.parse(text);
    if (typeof event !== 'object' || event === null || !('subject' in event)) return undefined;
    return typeof event.subject === 'string' ? event.subject : undefined;
  } catch {
    return undefined;
  }
}
