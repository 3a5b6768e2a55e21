import { CLOSE_CODES, type MessageKind, type MessageKinds, type Schema } from './socket-messages.js';

/** A document of AsyncAPI 3.0, as far as it is looked into here. */
export interface AsyncApiDocument {
  readonly asyncapi: string;
  readonly info: Readonly<Record<string, string>>;
  readonly channels: Readonly<Record<string, unknown>>;
  readonly operations: Readonly<Record<string, unknown>>;
  readonly components: Readonly<Record<string, unknown>>;
}

/** The two ways to open a socket; both speak the same. */
const CHANNELS = { socket: '/ws', room: '/ws/{kind}/{id}' } as const;
type ChannelName = keyof typeof CHANNELS;

/** One name may stand for two messages, one each way. */
const keyOf = (direction: 'client' | 'server', { name }: MessageKind): string => `${direction}.${name}`;

const frame = (direction: 'client' | 'server', { name, data }: MessageKind): Schema => ({
  type: 'object',
  required: ['event', 'data'],
  additionalProperties: false,
  properties: {
    event: { const: name },
    data,
    id: { type: 'integer', description: 'Chosen by the client; the answer to its frame repeats it.' },
    ...(direction === 'client' && {
      traceparent: { type: 'string', description: "Where the client's own work stands (W3C Trace Context)." },
    }),
  },
});

const message = (direction: 'client' | 'server', kind: MessageKind): object => ({
  name: kind.name,
  title: kind.name,
  summary: kind.summary,
  contentType: 'application/json',
  payload: frame(direction, kind),
});

const all = ({ client, server }: MessageKinds): [string, MessageKind][] => [
  ...client.map((kind): [string, MessageKind] => [keyOf('client', kind), kind]),
  ...server.map((kind): [string, MessageKind] => [keyOf('server', kind), kind]),
];

/** The socket protocol as AsyncAPI 3.0: what each side may send, what answers what, and what close codes mean. */
export function asyncApiDocument(kinds: MessageKinds): AsyncApiDocument {
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Atrium rooms',
      version: '1',
      description: [
        'Live rooms over WebSocket. A frame is JSON text; an `id` comes back with its answer, and a frame that fails is',
        'answered by `error`. Authenticate at the handshake (`Authorization: Bearer`) or with the first frame.',
        '',
        'Close codes:',
        ...Object.entries(CLOSE_CODES).map(([code, meaning]) => `- ${code}: ${meaning}`),
      ].join('\n'),
    },
    channels: { socket: channel('socket', kinds), room: channel('room', kinds) },
    operations: Object.fromEntries((['socket', 'room'] as const).flatMap((name) => operations(name, kinds))),
    components: {
      messages: Object.fromEntries(
        (['client', 'server'] as const).flatMap((direction) =>
          kinds[direction].map((kind) => [keyOf(direction, kind), message(direction, kind)]),
        ),
      ),
    },
  };
}

function channel(name: ChannelName, kinds: MessageKinds): object {
  return {
    address: CHANNELS[name],
    summary:
      name === 'room' ? 'A socket that joins one room as it opens.' : 'A socket for any number of rooms.',
    ...(name === 'room' && {
      parameters: {
        kind: { description: 'Such as `items` or `workspaces`.' },
        id: { description: 'The UUID of the record.' },
      },
    }),
    messages: Object.fromEntries(all(kinds).map(([key]) => [key, { $ref: `#/components/messages/${key}` }])),
    bindings: { ws: { method: 'GET', bindingVersion: '0.1.0' } },
  };
}

/** From the server's side: it receives what clients send, and sends what nobody asked for. */
function operations(name: ChannelName, { client, server }: MessageKinds): [string, object][] {
  const of = (key: string) => ({ $ref: `#/channels/${name}/messages/${key}` });
  const received = client.map((kind): [string, object] => [
    `${name}.${kind.name}`,
    {
      action: 'receive',
      channel: { $ref: `#/channels/${name}` },
      summary: kind.summary,
      messages: [of(keyOf('client', kind))],
      reply: {
        channel: { $ref: `#/channels/${name}` },
        messages: [of(`server.${kind.reply}`), of('server.error')],
      },
    },
  ]);
  return [
    ...received,
    [
      `${name}.deliver`,
      {
        action: 'send',
        channel: { $ref: `#/channels/${name}` },
        summary: 'What the socket is told without asking: what happens in its rooms, and work.',
        messages: server.filter(({ unasked }) => unasked).map((kind) => of(keyOf('server', kind))),
      },
    ],
  ];
}
