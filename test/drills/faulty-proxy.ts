import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
}

/** Stands before a port of this machine, and breaks the way there as networks do. */
export class FaultyProxy {
  private readonly pairs = new Set<Pair>();
  private readonly sockets = new Set<Socket>();
  private holding = false;

  private constructor(
    private readonly server: Server,
    /** Where to connect to. */
    readonly port: number,
    private target: number,
  ) {}

  /** Listens on a free port of 127.0.0.1. */
  static async start(target: number): Promise<FaultyProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new FaultyProxy(server, (server.address() as AddressInfo).port, target);
    server.on('connection', (client: Socket) => proxy.accept(client));
    return proxy;
  }

  /** The ports from which it is connected to the target: how PostgreSQL knows these clients. */
  get ports(): number[] {
    return [...this.pairs].flatMap(({ upstream }) => upstream.localPort ?? []);
  }

  /**
   * Leaves every connection half open: both ends think that it stands, and nothing passes any more, not even its
   * end. New connections are not affected.
   * @returns how many there were
   */
  strand(): number {
    const count = this.pairs.size;
    for (const pair of this.pairs) {
      pair.client.unpipe().pause();
      pair.upstream.unpipe().pause();
    }
    this.pairs.clear();
    return count;
  }

  /** Leads new connections to another port, and breaks those that there are. */
  redirect(target: number): void {
    this.target = target;
    this.cut();
  }

  /** Breaks every connection. @returns how many there were */
  cut(): number {
    const count = this.pairs.size;
    for (const { client, upstream } of this.pairs) {
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    }
    return count;
  }

  /** Requests still pass and are done, answers do not come back, until {@link release}. */
  holdAnswers(): void {
    this.holding = true;
    for (const { client, upstream } of this.pairs) {
      upstream.unpipe(client);
      upstream.pause();
    }
  }

  release(): void {
    this.holding = false;
    for (const { client, upstream } of this.pairs) upstream.pipe(client);
  }

  /** Ends everything. */
  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private accept(client: Socket): void {
    const upstream = connect(this.target, '127.0.0.1');
    const pair = { client, upstream };
    this.pairs.add(pair);
    for (const socket of [client, upstream]) {
      this.sockets.add(socket.setNoDelay());
      socket.on('error', () => undefined).on('close', () => this.closed(pair, socket));
    }
    client.pipe(upstream);
    if (!this.holding) upstream.pipe(client);
  }

  private closed(pair: Pair, socket: Socket): void {
    this.sockets.delete(socket);
    // Of a stranded pair, the other end hears nothing.
    if (!this.pairs.delete(pair)) return;
    pair.client.destroy();
    pair.upstream.destroy();
  }
}
