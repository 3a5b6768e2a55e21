import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { endsWith, type Principal } from '../common/access.js';
import { Clock } from '../common/clock.js';
import { newId } from '../common/identifiers.js';
import { AtriumConfig } from '../config/config.js';
import { CloseCode } from './close-codes.js';
import { Connection } from './connection.js';
import type { Handshake } from './handshake.js';
import { Outbox } from './outbox.js';
import { SocketClosed, TooManyConnections } from './rooms.errors.js';
import { socketClosed } from './socket-life.js';
import { spread } from './spread.js';
import { Tally } from './tally.js';

/** How often the one timer looks at every connection. */
const ROUND_MS = 1_000;
/** A socket must say who it is within this time. */
const AUTHENTICATION_MS = 10_000;
/** A reader that has not caught up after this time is not going to. */
const LAG_MS = 20_000;
/** A peer that was asked to close gets this long. */
const CLOSING_MS = 2_000;

/** Every open socket of this instance, and the one timer that watches over all of them. */
@Injectable()
export class Connections implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly byClient = new Map<WebSocket, Connection>();
  private readonly byNetwork = new Tally();
  private readonly byPrincipal = new Tally();
  private readonly outbox = new Outbox();
  private timer: NodeJS.Timeout | undefined;
  private whenEmpty: (() => void) | undefined;

  constructor(
    private readonly config: AtriumConfig,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.round(), ROUND_MS).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  open(client: WebSocket, socket: Socket, handshake: Handshake): Connection {
    const { bufferLimitBytes } = this.config.sockets;
    const { network } = handshake;
    const connection = new Connection(newId(), handshake, client, socket, this.outbox, bufferLimitBytes);
    this.byClient.set(client, connection);
    this.byNetwork.add(network);
    client.once('close', (code) => {
      this.byNetwork.remove(network);
      const { id: connectionId, openedAt, principal, workspaceId } = connection;
      const durationMs = performance.now() - openedAt;
      socketClosed.tell({ connectionId, handshake, principal, workspaceId, code, durationMs });
    });
    return connection;
  }

  /** How many are open. */
  get count(): number {
    return this.byClient.size;
  }

  /** Whether one more socket of this network would be too many. */
  isFull(network: string): boolean {
    return this.byNetwork.of(network) >= this.config.sockets.perAddress;
  }

  /**
   * Says whose a socket is.
   * @throws {TooManyConnections}
   */
  claim(connection: Connection, principal: Principal): void {
    if (!connection.principal) {
      const { perPrincipal } = this.config.sockets;
      if (this.byPrincipal.of(principal.id) >= perPrincipal) throw new TooManyConnections(perPrincipal);
      this.byPrincipal.add(principal.id);
    }
    connection.principal = principal;
  }

  of(client: WebSocket): Connection | undefined {
    return this.byClient.get(client);
  }

  /** @throws {SocketClosed} */
  get(client: WebSocket): Connection {
    const connection = this.byClient.get(client);
    if (!connection) throw new SocketClosed();
    return connection;
  }

  remove(client: WebSocket): void {
    const principal = this.byClient.get(client)?.principal;
    if (principal) this.byPrincipal.remove(principal.id);
    this.byClient.delete(client);
    if (this.byClient.size === 0) this.whenEmpty?.();
  }

  /** Ends the sockets of a session, or of one token. */
  closeSession(ended: string): void {
    for (const connection of this.byClient.values())
      if (connection.principal && endsWith(connection.principal, ended))
        connection.close(CloseCode.REVOKED, 'session revoked');
  }

  /**
   * Tells every client to reconnect elsewhere, and waits a moment for them to go.
   * @param overMs the time over which they are told, if they are many
   */
  async closeAll(overMs = 0): Promise<void> {
    await spread(this.byClient.values(), overMs, (connection) =>
      connection.close(CloseCode.RESTARTING, 'restarting'),
    );
    if (this.byClient.size === 0) return;
    await new Promise<void>((resolve) => {
      this.whenEmpty = resolve;
      setTimeout(resolve, CLOSING_MS).unref();
    });
    for (const connection of this.byClient.values()) connection.terminate();
  }

  private round(): void {
    const now = performance.now();
    const time = this.clock.now();
    for (const connection of this.byClient.values()) {
      if (!connection.isOpen) continue;
      if (connection.principal === undefined) {
        if (now - connection.openedAt > AUTHENTICATION_MS)
          connection.close(CloseCode.UNAUTHENTICATED, 'no token came');
      } else if (connection.principal.expiresAt <= time) {
        connection.close(CloseCode.TOKEN_EXPIRED, 'token expired');
      } else if (connection.lagStart !== undefined && now - connection.lagStart > LAG_MS) {
        this.giveUp(connection, CloseCode.TOO_SLOW, 'resume from the cursor');
      } else {
        this.beat(connection, now);
      }
    }
  }

  private beat(connection: Connection, now: number): void {
    const { heartbeatMs } = this.config.sockets;
    if (now - connection.lastSeen > 2 * heartbeatMs) {
      this.giveUp(connection, CloseCode.NO_HEARTBEAT, 'no heartbeat');
    } else if (now - connection.lastPing > heartbeatMs) {
      connection.ping(now);
    }
  }

  /** Closes a socket whose peer may not even read the reason, which waits behind what it has not read. */
  private giveUp(connection: Connection, code: CloseCode, reason: string): void {
    connection.close(code, reason);
    setTimeout(() => connection.terminate(), CLOSING_MS).unref();
  }
}
