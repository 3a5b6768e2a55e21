import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { handshakeRefused, socketClosed } from '../../rooms/socket-life.js';
import { Logs } from './logs.js';
import { principalName } from './request-context.js';

/** The module of these lines, for `LOG_LEVELS`. */
const MODULE = 'Socket';
/** How a handshake that went well was answered. */
const SWITCHING_PROTOCOLS = 101;

/** Logs one line of each socket that has closed, and of each that was not let in. */
@Injectable()
export class SocketLog implements OnModuleInit, OnApplicationShutdown {
  private endings: (() => void)[] = [];

  constructor(private readonly logs: Logs) {}

  onModuleInit(): void {
    const { logs } = this;
    this.endings = [
      socketClosed.listen(({ connectionId, handshake, principal, workspaceId, code, durationMs }) => {
        if (!logs.levels.isEnabled(MODULE, 'log')) return;
        const { requestId, traceId, method, route } = handshake;
        const fields = {
          connectionId,
          requestId,
          traceId,
          principal: principal && principalName(principal),
          workspaceId: principal?.agent?.workspaceId ?? workspaceId,
          method,
          route,
          status: SWITCHING_PROTOCOLS,
          code,
          durationMs: Math.round(durationMs),
        };
        logs.frequent('log', MODULE, fields, 'socket closed');
      }),
      handshakeRefused.listen(({ handshake, status }) => {
        if (!logs.levels.isEnabled(MODULE, 'log')) return;
        const { requestId, traceId, method, route, startedAt } = handshake;
        const durationMs = Math.round((performance.now() - startedAt) * 1_000) / 1_000;
        const fields = { requestId, traceId, method, route, status, durationMs };
        logs.frequent('log', MODULE, fields, 'handshake refused');
      }),
    ];
  }

  onApplicationShutdown(): void {
    for (const end of this.endings) end();
  }
}
