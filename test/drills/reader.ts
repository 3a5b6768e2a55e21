import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from './random.js';
import { type Sighting, toEntry } from './records.js';

export interface ReaderOrders {
  readonly name: string;
  readonly principal: string;
  readonly token: string;
  /** By server-sent events it is one. */
  readonly rooms: readonly string[];
}

/** What comes over a connection: the same by a socket and by server-sent events. */
export interface Message {
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
}

const TICK_MS = 500;
const RECONNECT_MS = { from: 20, to: 300 };

/** Follows its rooms, writes down what it is told, and comes back elsewhere when its connection breaks. */
export abstract class Reader {
  /** By room: the last cursor seen. A room that was lost has none. */
  protected readonly cursors = new Map<string, string | undefined>();
  private silence = 0;
  private isAway = false;
  private readonly silentTicks: number;

  constructor(
    protected readonly orders: ReaderOrders,
    /** Of the instances. */
    private readonly urls: readonly string[],
    /** How often servers give a sign of life. */
    heartbeatMs: number,
    private readonly random: Random,
    protected readonly record: (sighting: Sighting) => void,
  ) {
    for (const room of orders.rooms) this.cursors.set(room, undefined);
    this.silentTicks = Math.ceil((3 * heartbeatMs + 1_000) / TICK_MS);
  }

  /** How far it is in each of its rooms. */
  get positions(): Record<string, number> {
    const known = [...this.cursors].filter(([, cursor]) => cursor !== undefined);
    return Object.fromEntries(known.map(([room, cursor]) => [room, split(cursor).seq]));
  }

  /** Breaks its connection and makes none, until it is told to come back. */
  stayAway(isAway: boolean): void {
    this.isAway = isAway;
    if (isAway) this.hangUp();
  }

  async run(): Promise<never> {
    for (;;) {
      if (!this.isAway && this.cursors.size > 0) await this.connection();
      await delay(this.random.between(RECONNECT_MS.from, RECONNECT_MS.to));
    }
  }

  private async connection(): Promise<void> {
    this.silence = 0;
    // Ticks, not time: a process that was stopped reads on before it judges.
    const watch = setInterval(() => {
      if (++this.silence > this.silentTicks) this.hangUp();
    }, TICK_MS);
    const code = await this.connect(this.random.pick(this.urls));
    clearInterval(watch);
    this.record({ saw: 'closed', client: this.orders.name, code });
  }

  /** One connection, from the handshake to its end. @returns the code with which it was closed, 0 without one */
  protected abstract connect(url: string): Promise<number>;

  /** Ends the connection, if there is one, without another word. */
  protected abstract hangUp(): void;

  /** There was a sign of life. */
  protected heard(): void {
    this.silence = 0;
  }

  /** @param after the cursor that was asked for, of `joined` */
  protected take(name: string, message: Message, after: string | undefined): void {
    const { name: client, principal } = this.orders;
    const { room, cursor } = message;
    if (name === 'left') {
      if (message.code === 'cursor_too_old') this.cursors.set(room, undefined);
      else this.cursors.delete(room);
      this.record({ saw: 'left', client, room, code: message.code ?? '' });
    } else if (name === 'joined') {
      const { recovered = false, reason } = message;
      this.cursors.set(room, cursor);
      this.record({ saw: 'joined', client, principal, room, ...split(cursor), after, recovered, reason });
    } else if (name === 'event' && message.event) {
      const { epoch, seq } = split(cursor);
      this.cursors.set(room, cursor);
      this.record({ saw: 'event', client, room, epoch, ...toEntry({ seq, ...pick(message.event) }) });
    }
  }

  /** Whoever may not join any more stays away. */
  protected refused(room: string, code: string): void {
    this.cursors.delete(room);
    this.record({ saw: 'refused', client: this.orders.name, room, code });
  }
}

const pick = ({ id, type, subject, principal, data }: NonNullable<Message['event']>) => ({
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
