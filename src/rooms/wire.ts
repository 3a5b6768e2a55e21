/**
 * How a transport puts into bytes what it sends. Both transports say the same: an event's name and its data. The
 * bytes of one message are the same for every reader, so they are built once and shared.
 */
export interface Wire {
  /** A message of the server's own. */
  message(event: string, data: object): Buffer;
  /** An event of a room, as JSON text; `cursor` only if the event is durable. */
  event(room: string, event: string, cursor?: string): Buffer;
}

/** The bytes for each kind of wire, built when the first reader of that kind wants them. */
export function oncePerWire(build: (wire: Wire) => Buffer): (wire: Wire) => Buffer {
  let last: Wire | undefined;
  let frame: Buffer | undefined;
  const frames = new Map<Wire, Buffer>();
  return (wire) => {
    if (frame && wire === last) return frame;
    frame = frames.get(wire) ?? build(wire);
    frames.set(wire, frame);
    last = wire;
    return frame;
  };
}
