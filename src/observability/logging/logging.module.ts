import { Module } from '@nestjs/common';
import { AtriumConfig } from '../../config/config.js';
import { Logs, logsOf } from './logs.js';
import { SocketLog } from './socket-log.js';

@Module({
  providers: [{ provide: Logs, inject: [AtriumConfig], useFactory: logsOf }, SocketLog],
  exports: [Logs],
})
export class LoggingModule {}
