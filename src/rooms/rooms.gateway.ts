import { type BeforeApplicationShutdown, type OnModuleInit, UseFilters, UsePipes } from '@nestjs/common';
import {
  ConnectedSocket,
  MessageBody,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  SubscribeMessage,
  WebSocketGateway,
} from '@nestjs/websockets';
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { Lifecycle } from '../common/lifecycle.js';
import { ValidationPipe } from '../common/validation.pipe.js';
import { SessionRevocations } from '../sessions/session-revocations.js';
import { Connections } from './connections.js';
import { FrameProblemFilter } from './frame-problem.filter.js';
import { handshakeOf } from './handshake.js';
import { PresenceStore } from './presence-store.js';
import { AuthFrame, JoinFrame, LeaveFrame, PresenceFrame, PublishFrame } from './rooms.dto.js';
import { RoomsService } from './rooms.service.js';

/** Over how long many sockets are told to go, when there is time. */
const SPREAD_MS = 5_000;

/**
 * The socket's face. Every frame is answered, by the service or by the filter; a socket is registered before
 * any frame of it is read, and forgotten when it closes, however it closes.
 */
@WebSocketGateway({ path: '/ws' })
@UsePipes(ValidationPipe)
@UseFilters(FrameProblemFilter)
export class RoomsGateway
  implements OnGatewayConnection, OnGatewayDisconnect, OnModuleInit, BeforeApplicationShutdown
{
  constructor(
    private readonly connections: Connections,
    private readonly rooms: RoomsService,
    private readonly presences: PresenceStore,
    private readonly revocations: SessionRevocations,
    private readonly lifecycle: Lifecycle,
  ) {}

  onModuleInit(): void {
    this.revocations.onRevoked((sessionId) => this.connections.closeSession(sessionId));
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.connections.closeAll(Math.min(SPREAD_MS, this.lifecycle.leftMs / 2));
    await this.presences.withdraw();
  }

  handleConnection(client: WebSocket, request: IncomingMessage): void {
    const connection = this.connections.open(client, request.socket, handshakeOf(request));
    // What `ws` objects to (a frame too big, text that is not UTF-8) it closes by itself, with the right code.
    client.on('error', () => undefined);
    const { authorization } = request.headers;
    if (authorization !== undefined) this.rooms.authenticateHandshake(connection, authorization);
  }

  handleDisconnect(client: WebSocket): void {
    const connection = this.connections.of(client);
    if (connection) this.rooms.leaveAll(connection);
    this.connections.remove(client);
  }

  @SubscribeMessage('auth')
  auth(@ConnectedSocket() client: WebSocket, @MessageBody() { token }: AuthFrame): void {
    this.rooms.authenticate(this.connections.get(client), token);
  }

  @SubscribeMessage('join')
  join(@ConnectedSocket() client: WebSocket, @MessageBody() frame: JoinFrame): Promise<void> {
    return this.rooms.join(this.connections.get(client), frame);
  }

  @SubscribeMessage('leave')
  leave(@ConnectedSocket() client: WebSocket, @MessageBody() { room }: LeaveFrame): void {
    this.rooms.leave(this.connections.get(client), room);
  }

  @SubscribeMessage('publish')
  publish(@ConnectedSocket() client: WebSocket, @MessageBody() frame: PublishFrame): Promise<void> {
    return this.rooms.publish(this.connections.get(client), frame);
  }

  @SubscribeMessage('presence')
  presence(@ConnectedSocket() client: WebSocket, @MessageBody() frame: PresenceFrame): void {
    this.rooms.present(this.connections.get(client), frame);
  }

  @SubscribeMessage('ping')
  ping(@ConnectedSocket() client: WebSocket): void {
    this.connections.get(client).reply('pong', {});
  }
}
