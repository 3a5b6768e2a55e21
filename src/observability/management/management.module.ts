import { Module } from '@nestjs/common';
import { LoggingModule } from '../logging/logging.module.js';
import { MetricsModule } from '../metrics/metrics.module.js';
import { ManagementServer } from './management-server.js';

@Module({ imports: [LoggingModule, MetricsModule], providers: [ManagementServer] })
export class ManagementModule {}
