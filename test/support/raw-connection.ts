import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const KEEP_ALIVE_MS = 500;

/** A connection to an instance that says and does no more than it is told, and never ends by itself. */
export class RawConnection {
  /** Everything that came. */
  received = '';
  /** Whether the other side has ended it. */
  isClosed = false;
  /** Whether this side has ended it. */
  ended = false;
  private beat: NodeJS.Timeout | undefined;

  private constructor(private readonly socket: Socket) {
    socket.setEncoding('utf8').on('data', (part: string) => (this.received += part));
    socket.on('error', () => undefined);
    socket.on('end', () => (this.isClosed = true));
    socket.on('close', () => {
      this.isClosed = true;
      clearInterval(this.beat);
    });
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    // The other end may end it; this one stays.
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  /** Sends a request, and wants the connection kept for a next one. */
  post(path: string, token: string, body: unknown): void {
    const json = JSON.stringify(body);
    this.socket.write(
      `POST ${path} HTTP/1.1\r\nHost: atrium\r\nConnection: keep-alive\r\nAuthorization: Bearer ${token}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`,
    );
  }

  /** Sends the beginning of something, and then a letter now and then. */
  dawdle(beginning: string): void {
    this.socket.write(beginning);
    this.beat = setInterval(() => this.socket.write('x'), KEEP_ALIVE_MS);
  }

  /** Sends nothing more, and waits for what is still said. */
  finish(): void {
    clearInterval(this.beat);
    this.socket.end();
  }

  close(): void {
    this.socket.destroy();
  }

  /** From now on shows that it is there: by empty lines, which mean nothing before a request (RFC 9112, section 2.2). */
  keepAlive(): void {
    this.beat = setInterval(() => this.socket.write('\r\n'), KEEP_ALIVE_MS);
  }
}
