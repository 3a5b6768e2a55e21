import { Module } from '@nestjs/common';
import { BusModule } from '../bus/bus.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { Announcements } from './announcements.js';
import { AppendingTransactions } from './appending-transactions.js';
import { Epoch } from './epoch.js';
import { EventAppends } from './event-appends.js';
import { EventArchives } from './event-archives.js';
import { EventPartitions } from './event-partitions.js';
import { EventRetention } from './event-retention.js';
import { StreamTail } from './stream-tail.js';
import { Streams } from './streams.js';

/** The ordered event log of every workspace. Knows no feature. */
@Module({
  imports: [DatabaseModule, BusModule, JobsModule],
  providers: [
    EventArchives,
    EventPartitions,
    EventRetention,
    Announcements,
    AppendingTransactions,
    Epoch,
    EventAppends,
    Streams,
    StreamTail,
  ],
  exports: [Announcements, AppendingTransactions, Epoch, EventArchives, EventAppends, Streams, StreamTail],
})
export class EventsModule {}
