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
