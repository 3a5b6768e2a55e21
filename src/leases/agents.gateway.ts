import { UseFilters, UsePipes } from '@nestjs/common';
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import { ValidationPipe } from '../common/validation.pipe.js';
import { Connections } from '../rooms/connections.js';
import { FrameProblemFilter } from '../rooms/frame-problem.filter.js';
import { AgentSockets } from './agent-sockets.js';
import { HeartbeatRequest } from './heartbeats.dto.js';
import { LeasePushes } from './lease-pushes.js';
import { LeaseFrame } from './leases.dto.js';

/** What agents say over their sockets besides what everybody may. */
@WebSocketGateway({ path: '/ws' })
@UsePipes(ValidationPipe)
@UseFilters(FrameProblemFilter)
export class AgentsGateway {
  constructor(
    private readonly connections: Connections,
    private readonly sockets: AgentSockets,
    private readonly pushes: LeasePushes,
  ) {}

  @SubscribeMessage('heartbeat')
  async heartbeat(
    @ConnectedSocket() client: WebSocket,
    @MessageBody() frame: HeartbeatRequest,
  ): Promise<void> {
    const connection = this.connections.get(client);
    connection.reply('heartbeat', await this.sockets.beat(connection, frame));
  }

  @SubscribeMessage('lease')
  lease(@ConnectedSocket() client: WebSocket, @MessageBody() frame: LeaseFrame): Promise<void> {
    return this.pushes.subscribe(this.connections.get(client), frame);
  }
}
