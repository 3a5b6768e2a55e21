import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { handshakeRefused, socketClosed } from '../../rooms/socket-life.js';
import { Logs } from './logs.js';
import { principalName } from './request-context.js';

/** The module of these lines, for `LOG_LEVELS`. */
const MODULE = 'Socket';

/** Logs one line of each socket that has closed, and of each that was not let in. */
@Injectable()
export class SocketLog implements OnModuleInit, OnApplicationShutdown {
  private endings: (() => void)[] = [];

  constructor(private readonly logs: Logs) {}

  onModuleInit(): void {
    const { logs } = this;
    this.endings = [
      socketClosed.listen(({ connectionId, principal, code, durationMs }) => {
        if (!logs.levels.isEnabled(MODULE, 'log')) return;
        const fields = {
          connectionId,
          principal: principal && principalName(principal),
          workspaceId: principal?.agent?.workspaceId,
          code,
          durationMs: Math.round(durationMs),
        };
        logs.frequent('log', MODULE, fields, 'socket closed');
      }),
      handshakeRefused.listen(({ requestId, status }) => {
        if (logs.levels.isEnabled(MODULE, 'log'))
          logs.frequent('log', MODULE, { requestId, status }, 'handshake refused');
      }),
    ];
  }

  onApplicationShutdown(): void {
    for (const end of this.endings) end();
  }
}
