import type { INestApplication, WsMessageHandler } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import type { Express } from 'express';
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Observable } from 'rxjs';
import { type WebSocket, WebSocketServer } from 'ws';
import { handshakeAddressOf, networkOf } from '../common/client-info.js';
import { Lifecycle } from '../common/lifecycle.js';
import { AtriumConfig } from '../config/config.js';
import { Connections } from './connections.js';
import { FrameQueue } from './frame-queue.js';

/** `/ws`, or `/ws/{room}`. */
const PATH = /^\/ws(?:\/([a-z]{1,32}\/[0-9a-f-]{36}))?\/?$/;

/** The room that a handshake named in its path. */
export const roomOfPath = (request: IncomingMessage): string | undefined =>
  PATH.exec((request.url ?? '').split('?', 1)[0] ?? '')?.[1];

const networks = new WeakMap<IncomingMessage, string>();

/** Whose a handshake is, as addresses are counted; known once the adapter has let it through. */
export const networkOfHandshake = (request: IncomingMessage): string => networks.get(request) ?? 'unknown';

/**
 * Nest's `ws` adapter with what a public socket needs: rooms in the path, an `Origin` check at the handshake,
 * bounds, and frames handled in order, none dropped silently. Compression is off: it costs memory and a
 * sender queue per socket.
 */
export class RoomsAdapter extends WsAdapter {
  private readonly config: AtriumConfig;
  private readonly lifecycle: Lifecycle;
  private readonly connections: Connections;

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
    });
    (this.httpServer as Server).on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      const refusal = this.refusal(request);
      if (refusal !== undefined) refuse(socket, refusal);
      else
        server.handleUpgrade(request, socket, head, (client) => server.emit('connection', client, request));
    });
    return server;
  }

  override bindMessageHandlers(
    client: WebSocket,
    handlers: WsMessageHandler[],
    transform: (data: unknown) => Observable<unknown>,
  ): void {
    const connection = this.connections.of(client);
    if (!connection) throw new Error('A socket must be registered before its handlers are bound');
    new FrameQueue(client, connection, handlers, transform, this.config.sockets.framesPerSecond);
  }

  /** The HTTP status that refuses a handshake; `undefined` if it is fine. */
  private refusal(request: IncomingMessage): number | undefined {
    if (!PATH.test((request.url ?? '').split('?', 1)[0] ?? '')) return 404;
    if (this.lifecycle.draining) return 503;
    if (!this.isFromHome(request)) return 403;
    const network = networkOf(handshakeAddressOf(request, this.trustProxy));
    networks.set(request, network);
    return this.connections.isFull(network) ? 429 : undefined;
  }

  /** A browser names the page's origin, other clients name none. */
  private isFromHome({ headers }: IncomingMessage): boolean {
    const { origin, host } = headers;
    const { corsOrigins } = this.config.http;
    if (origin === undefined || corsOrigins.includes(origin) || corsOrigins.includes('*')) return true;
    return URL.canParse(origin) && new URL(origin).host === host;
  }
}

/** Seconds until it is worth another attempt. */
const RETRY_AFTER: Readonly<Record<number, number>> = { 429: 10, 503: 1 };

function refuse(socket: Duplex, status: number): void {
  const seconds = RETRY_AFTER[status];
  const retry = seconds === undefined ? '' : `Retry-After: ${seconds}\r\n`;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n${retry}Content-Length: 0\r\n\r\n`,
  );
}
