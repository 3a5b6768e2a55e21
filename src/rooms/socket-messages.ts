import { CloseCode } from './close-codes.js';

/** A JSON Schema (draft 7), as AsyncAPI takes it. */
export type Schema = Readonly<Record<string, unknown>>;

/** One kind of frame: `{"event": name, "data": data, "id"?: number}`. */
export interface MessageKind {
  readonly name: string;
  readonly summary: string;
  readonly data: Schema;
  /** What the server answers with, besides `error`. */
  readonly reply?: string;
  /** Whether the server sends it without being asked. */
  readonly unasked?: true;
}

/** What each side may send. */
export interface MessageKinds {
  readonly client: readonly MessageKind[];
  readonly server: readonly MessageKind[];
}

export const text = (description: string): Schema => ({ type: 'string', description });
export const object = (
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = Object.keys(properties),
): Schema => ({ type: 'object', properties, required, additionalProperties: false });
export const list = (items: Schema): Schema => ({ type: 'array', items });

const ROOM = { type: 'string', pattern: '^[a-z]{1,32}/[0-9a-f-]{36}$', description: '`{kind}/{id}`' };
const CURSOR = text('`<epoch>-<seq>`, opaque: everything up to it has been seen.');
const ANYTHING = { description: 'Any JSON but null.' };
const STATE = { type: 'object', description: 'What a principal says of itself there.' };

const ENTRY = object({
  principalId: { type: 'string', format: 'uuid' },
  kind: { enum: ['user', 'agent'] },
  name: { type: ['string', 'null'], description: 'How it is called, as of when it last entered or later.' },
  connections: { type: 'integer', minimum: 1 },
  state: STATE,
});

/** CloudEvents 1.0, JSON format, with the extension attribute `principal`. */
const CLOUD_EVENT = object(
  {
    specversion: { const: '1.0' },
    id: text('Unique.'),
    source: text('The workspace: `/v1/workspaces/{id}`.'),
    type: text('Such as `item.updated`.'),
    subject: ROOM,
    time: { type: 'string', format: 'date-time' },
    datacontenttype: { const: 'application/json' },
    principal: { type: 'string', format: 'uuid', description: 'Who did it.' },
    traceparent: text('In which trace it was done (W3C Trace Context), if that is recorded.'),
    data: { description: 'The record as it was after the change, or what was published.' },
  },
  ['specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype', 'principal', 'data'],
);

/** What a client may send. */
const CLIENT_MESSAGES: readonly MessageKind[] = [
  {
    name: 'auth',
    summary:
      'Says who speaks: the first frame of a client without an Authorization header, and again before expiry.',
    data: object({ token: { type: 'string', maxLength: 8_192, description: 'An access token.' } }),
    reply: 'ready',
  },
  {
    name: 'join',
    summary: 'Enters a room, resuming after a cursor.',
    data: object({ room: ROOM, after: { ...CURSOR, maxLength: 64 } }, ['room']),
    reply: 'joined',
  },
  { name: 'leave', summary: 'Leaves a room.', data: object({ room: ROOM }), reply: 'left' },
  {
    name: 'publish',
    summary: 'Says something in a room.',
    data: object(
      {
        room: ROOM,
        type: { type: 'string', pattern: '^[A-Za-z][\\w-]{0,63}(\\.[\\w-]{1,64}){0,3}$' },
        data: ANYTHING,
        durable: { type: 'boolean', default: true, description: 'Whether it is kept in the stream.' },
      },
      ['room', 'type', 'data'],
    ),
    reply: 'published',
  },
  {
    name: 'presence',
    summary: 'Sets what one says of oneself in a room.',
    data: object({ room: ROOM, state: { ...STATE, description: 'At most 1,024 bytes of JSON.' } }),
    reply: 'presence',
  },
  { name: 'ping', summary: 'Asks for a sign of life.', data: object({}), reply: 'pong' },
];

/** What the server may send. */
const SERVER_MESSAGES: readonly MessageKind[] = [
  {
    name: 'ready',
    summary: 'The token was good.',
    data: object({
      connectionId: text('For logs and questions.'),
      expiresAt: {
        type: 'string',
        format: 'date-time',
        description: 'When the socket closes without a newer token.',
      },
      heartbeat: { type: 'integer', description: 'Milliseconds between pings.' },
    }),
  },
  {
    name: 'joined',
    summary: 'The socket is in the room; every event after `cursor` follows.',
    data: object(
      {
        room: ROOM,
        cursor: CURSOR,
        recovered: { type: 'boolean', description: 'Whether everything after the cursor asked for follows.' },
        reason: text('Why not; then the state must be fetched anew.'),
        presence: list(ENTRY),
        present: { type: 'integer', minimum: 0, description: 'How many principals are there.' },
      },
      ['room', 'cursor', 'recovered', 'presence', 'present'],
    ),
  },
  {
    name: 'left',
    summary: 'The socket is no longer in the room; with a `code` if it did not ask for that.',
    unasked: true,
    data: object({ room: ROOM, code: text('Such as `membership_lost`.') }, ['room']),
  },
  {
    name: 'published',
    summary: 'It was said; a durable message has a cursor.',
    data: object({ cursor: CURSOR }, []),
  },
  {
    name: 'event',
    summary: 'Something happened in a room; a durable event has a cursor.',
    unasked: true,
    data: object({ room: ROOM, cursor: CURSOR, event: CLOUD_EVENT }, ['room', 'event']),
  },
  {
    name: 'presence',
    summary: 'Who came, went or changed; or, with `presence`, everybody who is there.',
    unasked: true,
    data: {
      oneOf: [
        object({ room: ROOM, joined: list(ENTRY), left: list(ENTRY), updated: list(ENTRY) }),
        object({ room: ROOM, presence: list(ENTRY) }),
      ],
    },
  },
  { name: 'pong', summary: 'A sign of life.', data: object({}) },
  {
    name: 'error',
    summary: 'The frame with this `id` failed.',
    data: object(
      {
        code: text('For programs, such as `not_found`.'),
        detail: text('What was wrong, and what to do.'),
        errors: list(
          object({ pointer: text('RFC 6901, into `data`.'), detail: text('What is wrong there.') }),
        ),
      },
      ['code', 'detail'],
    ),
  },
];

export const ROOM_MESSAGES: MessageKinds = { client: CLIENT_MESSAGES, server: SERVER_MESSAGES };

/** What each close code tells the client to do. */
export const CLOSE_CODES: Readonly<Record<number, string>> = {
  1009: 'The frame was too big: send less.',
  [CloseCode.INTERNAL]: 'A mistake of ours: reconnect and resume.',
  [CloseCode.RESTARTING]: 'The instance is stopping: reconnect after a random wait, and resume.',
  [CloseCode.UNAUTHENTICATED]: 'Bad or missing token: stop, log in.',
  [CloseCode.REVOKED]: 'The session has ended: stop, log in.',
  [CloseCode.TOO_SLOW]: 'Too slow: reconnect, resume from the cursor.',
  [CloseCode.NO_HEARTBEAT]: 'No heartbeat: reconnect, resume.',
  [CloseCode.TOKEN_EXPIRED]: 'The token has expired: refresh, reconnect, resume.',
  [CloseCode.PROTOCOL_ERROR]: 'Not this protocol: mend the client.',
  [CloseCode.TOO_MANY_FRAMES]: 'Too many frames or sockets: slow down, then reconnect.',
};
