import { WebSocket } from 'ws';
import { type Message, Reader } from './reader.js';

interface Frame {
  readonly event: string;
  readonly id?: number;
  readonly data: Message;
}

const HANDSHAKE_MS = 3_000;

/** Follows all its rooms over one socket. */
export class SocketReader extends Reader {
  private socket: WebSocket | undefined;

  protected hangUp(): void {
    this.socket?.terminate();
  }

  protected connect(at: string): Promise<number> {
    const url = new URL('/ws', at.replace(/^http/, 'ws'));
    const headers = { Authorization: `Bearer ${this.orders.token}` };
    const socket = new WebSocket(url, { headers, handshakeTimeout: HANDSHAKE_MS, perMessageDeflate: false });
    this.socket = socket;
    const rooms = [...this.cursors.keys()];
    const asked = rooms.map((room) => this.cursors.get(room));
    socket.on('open', () => {
      rooms.forEach((room, id) =>
        socket.send(JSON.stringify({ event: 'join', id, data: { room, after: asked[id] } })),
      );
    });
    socket.on('ping', () => this.heard());
    socket.on('message', (bytes: Buffer) => {
      this.heard();
      const { event, id = -1, data } = JSON.parse(bytes.toString()) as Frame;
      if (event === 'error') this.failed(data, rooms[id]);
      else this.take(event, data, asked[id]);
      // What comes next is gone: from now on, then, under an id that no question with a cursor had.
      if (event === 'left' && this.cursors.has(data.room))
        socket.send(JSON.stringify({ event: 'join', id: rooms.length, data: { room: data.room } }));
    });
    socket.on('error', () => undefined); // a close follows
    return new Promise((resolve) => {
      socket.once('close', resolve);
    });
  }

  /** Any trouble but a refusal is left for the next connection. */
  private failed({ code }: Message, room: string | undefined): void {
    if (room !== undefined && code === 'not_found') this.refused(room, code);
    else this.hangUp();
  }
}
