/**
 * A process of subscribers. Each follows its rooms at whatever instance it finds, writes down all that it is told,
 * and when it loses the connection resumes elsewhere from the last cursor it has seen. It judges nothing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { Random } from './random.js';
import { recorder, type Sighting, toEntry } from './records.js';

/** What the process is told at first. */
export interface Orders {
  readonly file: string;
  readonly seed: number;
  /** Of the instances. */
  readonly urls: readonly string[];
  /** How often servers ping. */
  readonly heartbeatMs: number;
  readonly clients: readonly ClientOrders[];
}

export interface ClientOrders {
  readonly name: string;
  readonly principal: string;
  readonly token: string;
  readonly rooms: readonly string[];
}

/** How far each client is in each of its rooms; the answer to `positions`. */
export type Positions = Readonly<Record<string, Readonly<Record<string, number>>>>;

interface Frame {
  readonly event: string;
  readonly id?: number;
  readonly data: {
    readonly room: string;
    readonly cursor?: string;
    readonly recovered?: boolean;
    readonly reason?: string;
    readonly code?: string;
    readonly event?: {
      readonly id: string;
      readonly type: string;
      readonly subject: string;
      readonly principal: string;
      readonly data: unknown;
    };
  };
}

const TICK_MS = 500;
const HANDSHAKE_MS = 3_000;
const RECONNECT_MS = { from: 20, to: 300 };

class Subscriber {
  /** By room: the last cursor seen. A room that was lost has none. */
  private readonly cursors = new Map<string, string | undefined>();
  private silence = 0;
  private socket: WebSocket | undefined;
  private isAway = false;

  constructor(
    private readonly orders: ClientOrders,
    private readonly urls: readonly string[],
    /** So many ticks without a sign of life, and the connection counts as dead. */
    private readonly silentTicks: number,
    private readonly random: Random,
    private readonly record: (sighting: Sighting) => void,
  ) {
    for (const room of orders.rooms) this.cursors.set(room, undefined);
  }

  get positions(): Record<string, number> {
    const known = [...this.cursors].filter(([, cursor]) => cursor !== undefined);
    return Object.fromEntries(known.map(([room, cursor]) => [room, split(cursor).seq]));
  }

  /** Breaks its connection and makes none, until it is told to come back. */
  stayAway(isAway: boolean): void {
    this.isAway = isAway;
    if (isAway) this.socket?.terminate();
  }

  async run(): Promise<never> {
    for (;;) {
      if (!this.isAway) await this.connection();
      await delay(this.random.between(RECONNECT_MS.from, RECONNECT_MS.to));
    }
  }

  /** One connection, from the handshake to its end. */
  private connection(): Promise<void> {
    const url = new URL('/ws', this.random.pick(this.urls).replace(/^http/, 'ws'));
    const headers = { Authorization: `Bearer ${this.orders.token}` };
    const socket = new WebSocket(url, { headers, handshakeTimeout: HANDSHAKE_MS, perMessageDeflate: false });
    this.socket = socket;
    this.silence = 0;
    // Ticks, not time: a process that was stopped reads on before it judges.
    const watch = setInterval(() => {
      if (++this.silence > this.silentTicks) socket.terminate();
    }, TICK_MS);
    const rooms = [...this.cursors.keys()];
    const asked = rooms.map((room) => this.cursors.get(room));
    socket.on('open', () => {
      rooms.forEach((room, id) =>
        socket.send(JSON.stringify({ event: 'join', id, data: { room, after: asked[id] } })),
      );
    });
    socket.on('ping', () => (this.silence = 0));
    socket.on('message', (bytes: Buffer) => {
      this.silence = 0;
      const frame = JSON.parse(bytes.toString()) as Frame;
      if (frame.event === 'error') this.refused(frame, rooms[frame.id ?? -1], socket);
      else this.take(frame, asked[frame.id ?? -1]);
      // What comes next is gone: from now on, then, under an id that no question with a cursor had.
      if (frame.event === 'left' && this.cursors.has(frame.data.room))
        socket.send(JSON.stringify({ event: 'join', id: rooms.length, data: { room: frame.data.room } }));
    });
    socket.on('error', () => undefined); // a close follows
    return new Promise((resolve) => {
      socket.once('close', (code) => {
        clearInterval(watch);
        this.record({ saw: 'closed', client: this.orders.name, code });
        resolve();
      });
    });
  }

  private take({ event, data }: Frame, after: string | undefined): void {
    const { name: client, principal } = this.orders;
    const { room, cursor } = data;
    if (event === 'left') {
      if (data.code === 'cursor_too_old') this.cursors.set(room, undefined);
      else this.cursors.delete(room);
      this.record({ saw: 'left', client, room, code: data.code ?? '' });
    } else if (event === 'joined') {
      const { recovered = false, reason } = data;
      this.cursors.set(room, cursor);
      this.record({ saw: 'joined', client, principal, room, ...split(cursor), after, recovered, reason });
    } else if (event === 'event' && data.event) {
      const { epoch, seq } = split(cursor);
      this.cursors.set(room, cursor);
      this.record({ saw: 'event', client, room, epoch, ...toEntry({ seq, ...pick(data.event) }) });
    }
  }

  /** Whoever may not join any more stays away; any other trouble is left for the next connection. */
  private refused({ data }: Frame, room: string | undefined, socket: WebSocket): void {
    if (room !== undefined && data.code === 'not_found') {
      this.cursors.delete(room);
      this.record({ saw: 'refused', client: this.orders.name, room, code: data.code });
    } else {
      socket.terminate();
    }
  }
}

const pick = ({ id, type, subject, principal, data }: NonNullable<Frame['data']['event']>) => ({
  id,
  type,
  subject,
  principal,
  data,
});

function split(cursor = ''): { epoch: string; seq: number } {
  const [epoch = '', seq = ''] = cursor.split('-');
  return { epoch, seq: Number(seq) };
}

let subscribers: Subscriber[] = [];

function begin({ file, seed, urls, heartbeatMs, clients }: Orders): void {
  const record = recorder(file);
  const random = new Random(seed);
  const ticks = Math.ceil((3 * heartbeatMs + 1_000) / TICK_MS);
  subscribers = clients.map((each) => new Subscriber(each, urls, ticks, random.fork(), record));
  for (const subscriber of subscribers) void subscriber.run();
  names = clients.map(({ name }) => name);
}

let names: string[] = [];

process.on('message', (message: Orders | 'positions' | 'away' | 'back') => {
  if (typeof message === 'object') begin(message);
  else if (message !== 'positions') for (const each of subscribers) each.stayAway(message === 'away');
  else
    process.send?.(
      Object.fromEntries(subscribers.map((each, n) => [names[n] ?? '', each.positions])) satisfies Positions,
    );
});
// Its work is done when the drill is over.
process.on('disconnect', () => process.exit(0));
