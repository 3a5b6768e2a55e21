import { Forbidden, Problem } from '../common/problem.js';

/** `not_found`: no such room, or none that the caller may know of. */
export class RoomNotFound extends Problem {
  constructor() {
    super(404, 'not_found', 'There is no such room, or it is not yours to join.');
  }
}

/** `not_joined`: the frame is about a room that this socket is not in. */
export class NotJoined extends Problem {
  constructor() {
    super(409, 'not_joined', 'This socket is not in that room; join it first.');
  }
}

/** `forbidden`: a viewer publishes. */
export class NotPublisher extends Forbidden {
  constructor() {
    super('You may listen in this room, but not publish.');
  }
}

/** `too_many_rooms`: the bound on rooms per socket. */
export class TooManyRooms extends Problem {
  constructor(limit: number) {
    super(429, 'too_many_rooms', `A socket can be in at most ${limit} rooms; leave one first.`);
  }
}

/** `too_many_connections`: the bound on one principal's open sockets. */
export class TooManyConnections extends Problem {
  constructor(limit: number) {
    super(429, 'too_many_connections', `You have ${limit} sockets open already; close one first.`);
  }
}

/** `too_many_connections`: the bound on the open sockets of one address, before anybody has said who they are. */
export class TooManyHandshakes extends Problem {
  constructor() {
    super(429, 'too_many_connections', 'Your address has too many sockets open already.', {
      headers: { 'Retry-After': '10' },
    });
  }
}

/** `too_many_streams`: the bound on one principal's open event streams. */
export class TooManyStreams extends Problem {
  constructor(limit: number) {
    super(429, 'too_many_streams', `You have ${limit} event streams open already; close one first.`);
  }
}

/** `reserved_type`: only Atrium itself says such things. */
export class ReservedType extends Problem {
  constructor(prefix: string) {
    super(400, 'reserved_type', `Types that start with ${prefix}. are Atrium's own; choose another.`);
  }
}

/** `invalid_cursor`: not something that Atrium gave out. */
export class InvalidCursor extends Problem {
  constructor() {
    super(400, 'invalid_cursor', 'after must be a cursor as Atrium gave it out.');
  }
}

/** `other_principal`: a socket speaks for one principal all its life. */
export class OtherPrincipal extends Problem {
  constructor() {
    super(403, 'other_principal', 'This socket belongs to another principal; open a new one.');
  }
}

/** `closed`: the socket has closed while its frame was waiting. */
export class SocketClosed extends Problem {
  constructor() {
    super(409, 'closed', 'This socket has closed.');
  }
}

/** `unknown_event`: the frame asks for something that does not exist. */
export class UnknownFrame extends Problem {
  constructor(known: readonly string[]) {
    super(400, 'unknown_event', `event must be one of ${known.join(', ')}.`);
  }
}

/** `malformed_frame`: not `{"event": string, "data": object, "id"?: number}`. */
export class MalformedFrame extends Problem {
  constructor(detail: string) {
    super(400, 'malformed_frame', detail);
  }
}

/** `epoch_changed`: the cursor belongs to another history, such as before a restore. */
export class EpochChanged extends Problem {
  /** @param start the cursor before everything that is kept */
  constructor(start: string) {
    super(410, 'epoch_changed', 'The cursor is of another history: fetch the state anew.', {
      headers: { 'Stream-Cursor': start },
    });
  }
}

/** `cursor_too_old`: some of what came after the cursor is not kept any more. */
export class CursorTooOld extends Problem {
  /** @param start the cursor before everything that is kept */
  constructor(start: string) {
    super(410, 'cursor_too_old', 'Not everything after the cursor is kept any more: fetch the state anew.', {
      headers: { 'Stream-Cursor': start },
    });
  }
}

/** `cursor_ahead`: the stream is not as long as the cursor says. */
export class CursorAhead extends Problem {
  /** @param newest the cursor of the stream's end */
  constructor(newest: string) {
    super(409, 'cursor_ahead', 'The stream is not as long as the cursor says: fetch the state anew.', {
      headers: { 'Stream-Cursor': newest },
    });
  }
}

/** 426 `upgrade_required` (RFC 9110, section 15.5.22): sockets are opened here, and the request asked for none. */
export class UpgradeRequired extends Problem {
  constructor() {
    super(426, 'upgrade_required', 'This is where sockets are opened: send a WebSocket handshake.', {
      headers: { Upgrade: 'websocket', Connection: 'Upgrade' },
    });
  }
}
