import { text } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';

/** Only what never comes takes so long, on a busy machine, too. */
const PATIENCE_MS = 60_000;

/** Whatever the server sends. What a `data` has is the test's claim. */
export interface ServerFrame<Data = Readonly<Record<string, unknown>>> {
  readonly event: string;
  readonly data: Data;
  readonly id?: number;
}

/** A CloudEvents 1.0 object. */
export interface CloudEvent<Data = Readonly<Record<string, unknown>>> {
  readonly specversion: string;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: string;
  readonly principal: string;
  readonly data: Data;
}

/** The data of an `event` frame. */
export interface RoomEvent {
  readonly room: string;
  readonly cursor?: string;
  readonly event: CloudEvent;
}

export interface Closing {
  readonly code: number;
  readonly reason: string;
}

export interface ConnectOptions {
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string;
  /** `/ws` unless told otherwise. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether heartbeats are answered, as they are by every real client. */
  readonly autoPong?: boolean;
}

/** The handshake was answered by HTTP. */
export class HandshakeRefused extends Error {
  constructor(
    readonly status: number,
    readonly headers: IncomingMessage['headers'],
    readonly body: string,
  ) {
    super(`The handshake was answered with ${status}`);
  }
}

/** The number in a cursor, which clients must not care about and tests do. */
export const seqOf = (cursor: string | undefined): number => Number(/-(\d+)$/.exec(cursor ?? '')?.[1] ?? NaN);

/** A client that keeps every frame that came, in order. */
export class SocketClient {
  readonly frames: ServerFrame[] = [];
  /** Resolves when the socket has closed, however. */
  readonly closed: Promise<Closing>;
  private closing: Closing | undefined;
  private readonly watchers = new Set<() => void>();
  private lastId = 0;

  constructor(readonly socket: WebSocket) {
    socket.on('message', (bytes: Buffer) => {
      this.frames.push(JSON.parse(bytes.toString()) as ServerFrame);
      for (const look of this.watchers) look();
    });
    socket.on('error', () => undefined); // a close follows
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        this.closing = { code, reason: reason.toString() };
        resolve(this.closing);
        for (const look of this.watchers) look();
      });
    });
  }

  /** Sends a frame and does not wait. @returns its id */
  post(event: string, data: unknown = {}): number {
    const id = ++this.lastId;
    this.raw(JSON.stringify({ event, data, id }));
    return id;
  }

  /** Sends anything. */
  raw(message: string | Buffer): void {
    this.socket.send(message);
  }

  /** Sends a frame and waits for its answer. */
  async send<Data = Readonly<Record<string, unknown>>>(
    event: string,
    data: unknown = {},
  ): Promise<ServerFrame<Data>> {
    return this.reply<Data>(this.post(event, data));
  }

  /** The answer to a frame, when it comes. */
  async reply<Data = Readonly<Record<string, unknown>>>(id: number): Promise<ServerFrame<Data>> {
    return this.waitFor(
      `an answer to frame ${id}`,
      () => this.frames.find((frame) => frame.id === id) as ServerFrame<Data> | undefined,
    );
  }

  /** Joins a room. @returns what `joined` says; throws if the answer is an error */
  async join(room: string, after?: string): Promise<{ cursor: string; recovered: boolean; reason?: string }> {
    const { event, data } = await this.send<{ cursor: string; recovered: boolean; reason?: string }>('join', {
      room,
      after,
    });
    if (event !== 'joined') throw new Error(`join answered ${event} ${JSON.stringify(data)}`);
    return data;
  }

  /** The events of a room that have come by now. */
  events(room: string): RoomEvent[] {
    return this.frames
      .filter((frame) => frame.event === 'event' && frame.data.room === room)
      .map((frame) => frame.data as unknown as RoomEvent);
  }

  /** Waits until so many events of a room are here. */
  async received(room: string, count: number): Promise<RoomEvent[]> {
    let counted = 0;
    let at = 0;
    await this.waitFor(`${count} events in ${room}`, () => {
      for (; at < this.frames.length; at++) {
        const frame = this.frames[at];
        if (frame?.event === 'event' && frame.data.room === room) counted++;
      }
      return counted >= count;
    });
    return this.events(room);
  }

  /** What has been sent to this socket by now has arrived when this resolves. */
  async barrier(): Promise<void> {
    await this.send('ping');
  }

  /** Asks again at every frame, until the answer is something. Throws when the socket closes before, or nothing comes. */
  waitFor<T>(what: string, ask: () => T | false | undefined, patienceMs = PATIENCE_MS): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        this.watchers.delete(look);
        clearTimeout(timer);
        act();
      };
      const look = () => {
        const answer = ask();
        if (answer !== undefined && answer !== false) settle(() => resolve(answer));
        else if (this.closing) settle(() => reject(new Error(`Closed ${this.closing?.code} before ${what}`)));
      };
      const timer = setTimeout(() => {
        const last = JSON.stringify(this.frames.slice(-3)).slice(0, 1_000);
        settle(() => reject(new Error(`Not within ${patienceMs} ms: ${what}; last came ${last}`)));
      }, patienceMs);
      this.watchers.add(look);
      look();
    });
  }

  /** Closes as a client should. */
  async close(): Promise<Closing> {
    this.socket.close(1000);
    return this.closed;
  }

  /** Vanishes without a word. */
  async vanish(): Promise<Closing> {
    this.socket.terminate();
    return this.closed;
  }
}

const open = new Set<SocketClient>();

/**
 * Opens a socket.
 * @throws {HandshakeRefused} if the answer was an HTTP status
 */
export async function connect(
  app: { readonly url: string },
  options: ConnectOptions = {},
): Promise<SocketClient> {
  const { token, path = '/ws', headers = {}, autoPong = true } = options;
  const url = new URL(path, app.url.replace(/^http/, 'ws'));
  const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const socket = new WebSocket(url, { headers: { ...authorization, ...headers }, autoPong });
  const client = new SocketClient(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
    socket.once('unexpected-response', (request, response) => {
      void text(response).then((body) => {
        reject(new HandshakeRefused(response.statusCode ?? 0, response.headers, body));
        request.destroy();
      }, reject);
    });
  });
  open.add(client);
  return client;
}

/** Opens a socket, waits until it is known who speaks, and joins a room. */
export async function connectAndJoin(
  app: { readonly url: string },
  token: string,
  room: string,
  after?: string,
): Promise<SocketClient> {
  const client = await connect(app, { token });
  await client.join(room, after);
  return client;
}

/** Ends every socket that was opened; for `afterEach`. */
export async function closeSockets(): Promise<void> {
  const clients = [...open];
  open.clear();
  await Promise.all(clients.map((client) => client.vanish()));
}
