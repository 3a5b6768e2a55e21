import { get, type IncomingMessage } from 'node:http';
import { EventSource } from 'eventsource';
import type { EventStream } from '../../src/rooms/event-stream.js';
import { EventStreams } from '../../src/rooms/event-streams.js';
import type { Instance } from './app.js';
import type { RoomEvent } from './sockets.js';
import { until } from './until.js';

/** An event of a stream, as a client sees it. */
export interface StreamMessage<Data = Readonly<Record<string, unknown>>> {
  readonly event: string;
  readonly data: Data;
  readonly lastEventId: string;
}

interface At {
  readonly url: string;
}

const NAMES = ['joined', 'event', 'left', 'close'];
const open = new Set<{ close(): void }>();

/** A public client, as it comes from npm, that keeps everything that came, in order. */
export class StreamClient {
  readonly messages: StreamMessage[] = [];
  /** The status of each answer. */
  readonly statuses: number[] = [];
  /** What it sent as `Last-Event-ID`, each time. */
  readonly resumedAfter: (string | undefined)[] = [];
  private readonly source: EventSource;

  /** @param at where to connect, asked each time */
  constructor(at: () => At, token: string, query: Readonly<Record<string, string>>) {
    const path = `/v1/events/stream?${new URLSearchParams(query).toString()}`;
    this.source = new EventSource(new URL(path, at().url), {
      fetch: async (_, init) => {
        this.resumedAfter.push(init.headers['Last-Event-ID']);
        const answer = await fetch(new URL(path, at().url), {
          ...init,
          headers: { ...init.headers, Authorization: `Bearer ${token}` },
        });
        this.statuses.push(answer.status);
        return answer;
      },
    });
    for (const name of NAMES)
      this.source.addEventListener(name, (message) => {
        const { data, lastEventId } = message as { data: string; lastEventId: string };
        this.messages.push({ event: name, data: JSON.parse(data) as StreamMessage['data'], lastEventId });
      });
    open.add(this);
  }

  /** Whether it has given up: a client comes back unless it is told that there is no point. */
  get hasGivenUp(): boolean {
    return this.source.readyState === this.source.CLOSED;
  }

  of<Data = Readonly<Record<string, unknown>>>(event: string): StreamMessage<Data>[] {
    return this.messages.filter((message) => message.event === event) as unknown as StreamMessage<Data>[];
  }

  /** The events of the room that have come by now. */
  get events(): RoomEvent[] {
    return this.of<RoomEvent>('event').map(({ data }) => data);
  }

  /** Waits until so many messages of a name are here. */
  async received<Data = Readonly<Record<string, unknown>>>(
    event: string,
    count = 1,
  ): Promise<StreamMessage<Data>[]> {
    await until(`${count} times ${event}`, () => this.of(event).length >= count);
    return this.of<Data>(event);
  }

  close(): void {
    this.source.close();
  }
}

/** Follows a room, and waits until it has joined. */
export async function follow(
  at: At | (() => At),
  token: string,
  room: string,
  after?: string,
): Promise<StreamClient> {
  const where = typeof at === 'function' ? at : () => at;
  const client = new StreamClient(where, token, { room, ...(after === undefined ? {} : { after }) });
  await client.received('joined');
  return client;
}

/** One answer, byte by byte, which the test reads or does not. */
export class RawStream {
  /** What has been read. */
  text = '';
  /** How it went: to its end, or cut. */
  ended: 'whole' | 'cut' | undefined;

  constructor(readonly response: IncomingMessage) {
    response.setEncoding('utf8').on('data', (part: string) => (this.text += part));
    response.on('end', () => (this.ended = 'whole'));
    response.on('error', () => (this.ended ??= 'cut'));
    response.on('close', () => (this.ended ??= 'cut'));
    open.add(this);
  }

  close(): void {
    this.response.destroy();
  }
}

/** Asks for a stream; the answer is read as it comes. */
export async function openStream(
  { url }: At,
  query: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>>,
): Promise<RawStream> {
  const address = new URL(`/v1/events/stream?${new URLSearchParams(query).toString()}`, url);
  return new Promise((resolve, reject) => {
    get(address, { headers, agent: false }, (response) => resolve(new RawStream(response))).on(
      'error',
      reject,
    );
  });
}

/** Ends every stream that was opened; for `afterEach`. */
export function closeStreams(): void {
  for (const client of open) client.close();
  open.clear();
}

export const bearer = ({ token }: { readonly token: string }): { Authorization: string } => ({
  Authorization: `Bearer ${token}`,
});

/** The other ends of the streams that an instance has open. */
export const streamsOf = ({ nest }: Instance): Set<EventStream> =>
  nest.get<EventStreams, { open: Set<EventStream> }>(EventStreams).open;
