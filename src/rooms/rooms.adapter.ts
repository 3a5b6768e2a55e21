import type { INestApplication, WsMessageHandler } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import type { Express } from 'express';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Observable } from 'rxjs';
import { type WebSocket, WebSocketServer } from 'ws';
import { problemText, wrongHost } from '../common/client-error.js';
import { Lifecycle } from '../common/lifecycle.js';
import { Forbidden, NotFound, Problem, Unavailable } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';
import { Connections } from './connections.js';
import { FrameQueue } from './frame-queue.js';
import { beginHandshake, type Handshake, handshakeOf } from './handshake.js';
import { TooManyHandshakes } from './rooms.errors.js';
import { handshakeRefused } from './socket-life.js';

/**
 * Nest's `ws` adapter with what a public socket needs: rooms in the path, an `Origin` check at the handshake,
 * bounds, and frames handled in order, none dropped silently. Compression is off: it costs memory and a
 * sender queue per socket.
 */
export class RoomsAdapter extends WsAdapter {
  private readonly config: AtriumConfig;
  private readonly lifecycle: Lifecycle;
  private readonly connections: Connections;
  private readonly queues = new WeakMap<WebSocket, FrameQueue>();
  private readonly trustProxy: (address: string, hop: number) => boolean;

  constructor(app: INestApplication) {
    super(app);
    const express = app.getHttpAdapter().getInstance() as Express;
    this.trustProxy = express.get('trust proxy fn') as typeof this.trustProxy;
    this.config = app.get(AtriumConfig);
    this.lifecycle = app.get(Lifecycle);
    this.connections = app.get(Connections);
  }

  override create(): WebSocketServer {
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: true,
      perMessageDeflate: false,
      maxPayload: this.config.sockets.frameLimitBytes,
      // None is spoken here; by itself the library agrees to the first that is offered, whatever it is.
      handleProtocols: () => false,
    });
    server.on('wsClientError', (error: Error, socket: Duplex, request: IncomingMessage) =>
      refuse(socket, handshakeOf(request), brokenHandshake(error.message, request)),
    );
    (this.httpServer as Server).on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      const handshake = beginHandshake(request, this.trustProxy);
      const refusal = this.refusal(request, handshake);
      if (refusal) refuse(socket, handshake, refusal);
      else
        server.handleUpgrade(request, socket, head, (client) => server.emit('connection', client, request));
    });
    server.on('headers', (headers, request) =>
      headers.push(`X-Request-Id: ${handshakeOf(request).requestId}`),
    );
    return server;
  }

  override bindMessageHandlers(
    client: WebSocket,
    handlers: WsMessageHandler[],
    transform: (data: unknown) => Observable<unknown>,
  ): void {
    const connection = this.connections.of(client);
    if (!connection) throw new Error('A socket must be registered before its handlers are bound');
    // Every gateway binds its own; there is one queue, so that the frames of all stay in order.
    let queue = this.queues.get(client);
    if (!queue) {
      queue = new FrameQueue(client, connection, this.config.sockets.framesPerSecond);
      this.queues.set(client, queue);
    }
    queue.add(handlers, transform);
  }

  /** Why a handshake is refused; `undefined` if it is fine. */
  private refusal(request: IncomingMessage, { route, network }: Handshake): Problem | undefined {
    if (route === undefined) return new NotFound('Sockets are served at /ws and /ws/{room}.');
    if (this.lifecycle.closing) return new Unavailable('This instance is going away; connect again.');
    const broken = wrongHost(request) ?? outdated(request);
    if (broken) return broken;
    if (!this.isFromHome(request)) return new Forbidden('Sockets of this Origin are not let in.');
    return this.connections.isFull(network) ? new TooManyHandshakes() : undefined;
  }

  /** A browser names the page's origin, other clients name none. */
  private isFromHome({ headers }: IncomingMessage): boolean {
    const { origin, host } = headers;
    const { corsOrigins } = this.config.http;
    if (origin === undefined || corsOrigins.includes(origin) || corsOrigins.includes('*')) return true;
    return URL.canParse(origin) && new URL(origin).host === host;
  }
}

/** What the library would let in: HTTP/1.0, and drafts of the protocol, which name a page's origin by another header. */
function outdated(request: IncomingMessage): Problem | undefined {
  const { httpVersion, headers, method } = request;
  if (httpVersion !== '1.1') return brokenHandshake('HTTP/1.1 is needed', request);
  const version = headers['sec-websocket-version'];
  if (method !== 'GET' || version === undefined || version === '13') return undefined;
  return brokenHandshake('Sec-WebSocket-Version must be 13', request);
}

/** The handshake is none of RFC 6455, section 4.2.1. */
function brokenHandshake(why: string, { method }: IncomingMessage): Problem {
  if (method !== 'GET')
    return new Problem(405, 'method_not_allowed', 'Sockets are opened by GET.', {
      headers: { Allow: 'GET' },
    });
  const headers = { 'Sec-WebSocket-Version': '13' };
  return new Problem(400, 'bad_request', `This is no WebSocket handshake: ${why}.`, { headers });
}

/** Answers a handshake with a problem (RFC 9457) instead, as any request is. */
function refuse(socket: Duplex, handshake: Handshake, problem: Problem): void {
  handshakeRefused.tell({ handshake, status: problem.getStatus() });
  // Whoever does not hang up is hung up on.
  socket.end(problemText(problem, handshake.requestId), () => socket.destroy());
}
