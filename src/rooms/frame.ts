import { createRequire } from 'node:module';
import type { StreamEvent } from '../events/stream-event.js';
import type { Wire } from './wire.js';

/** The part of the `ws` package that puts a WebSocket header before a payload (RFC 6455, section 5.2). */
interface Sender {
  frame(data: Buffer, options: object): Buffer[];
}

const { Sender } = createRequire(import.meta.url)('ws') as { Sender: Sender };

/** One unfragmented, unmasked, uncompressed text frame. */
const TEXT = { fin: true, rsv1: false, opcode: 1, mask: false, readOnly: true };

/**
 * The bytes of one frame, to be written to any number of sockets. This goes past the `ws` sender, which is
 * sound as long as compression is off: then the sender keeps no queue of its own.
 */
export function encodeFrame(json: string): Buffer {
  return Buffer.concat(Sender.frame(Buffer.from(json), TEXT));
}

/** `{"event", "data", "id"?}`; `id` answers the frame that had it. */
export function messageFrame(event: string, data: object, id?: number): Buffer {
  return encodeFrame(JSON.stringify({ event, data, id }));
}

/** {@link messageFrame} with `data` as JSON text. */
export const textFrame = (event: string, data: string): Buffer =>
  encodeFrame(`{"event":"${event}","data":${data}}`);

/** An event of a room; `cursor` only if the event is durable. */
export function eventFrame(room: string, event: string, cursor?: string): Buffer {
  const position = cursor === undefined ? '' : `"cursor":"${cursor}",`;
  return encodeFrame(`{"event":"event","data":{"room":"${room}",${position}"event":${event}}}`);
}

/** Frames of WebSockets. */
export const SOCKET_WIRE: Wire = { message: messageFrame, event: eventFrame };

/** The bytes of one room's events on one kind of wire, each built once for as long as the event is at hand. */
export class EventFrames {
  private readonly frames = new WeakMap<StreamEvent, Buffer>();

  constructor(
    private readonly wire: Wire,
    private readonly room: string,
    private readonly cursorOf: (event: StreamEvent) => string,
  ) {}

  of(event: StreamEvent): Buffer {
    let frame = this.frames.get(event);
    if (!frame) {
      frame = this.wire.event(this.room, event.json, this.cursorOf(event));
      this.frames.set(event, frame);
    }
    return frame;
  }
}
