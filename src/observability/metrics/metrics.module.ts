import { Module } from '@nestjs/common';
import { BusModule } from '../../bus/bus.module.js';
import { DatabaseModule } from '../../database/database.module.js';
import { EventsModule } from '../../events/events.module.js';
import { JobsModule } from '../../jobs/jobs.module.js';
import { RoomsModule } from '../../rooms/rooms.module.js';
import { DatabaseMetrics } from './database-metrics.js';
import { LiveMetrics } from './live-metrics.js';
import { Metrics } from './metrics.js';
import { QueueDepths } from './queue-depths.js';

@Module({
  imports: [BusModule, DatabaseModule, EventsModule, JobsModule, RoomsModule],
  providers: [DatabaseMetrics, LiveMetrics, Metrics, QueueDepths],
  exports: [Metrics],
})
export class MetricsModule {}
