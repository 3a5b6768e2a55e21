import { Module } from '@nestjs/common';
import { AtriumConfig } from '../config/config.js';
import { BusModule } from '../bus/bus.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { SnapshotReads } from '../database/snapshot-reads.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { Announcements } from './announcements.js';
import { AppendingTransactions } from './appending-transactions.js';
import { Epoch } from './epoch.js';
import { EventAppends } from './event-appends.js';
import { EventArchives } from './event-archives.js';
import { EventPartitions } from './event-partitions.js';
import { EventRetention } from './event-retention.js';
import { ReadReplica, type ReplicaPools } from './read-replica.js';
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
    {
      provide: ReadReplica,
      inject: [PipelinedStatements, AtriumConfig],
      useFactory: (statements: PipelinedStatements, config: AtriumConfig) =>
        new ReadReplica(statements, replicaPools(config)),
    },
  ],
  exports: [
    Announcements,
    AppendingTransactions,
    Epoch,
    EventArchives,
    EventAppends,
    ReadReplica,
    Streams,
    StreamTail,
  ],
})
export class EventsModule {}

/** How many lists the replica does at once for an instance. */
const REPLICA_READS = 6;

function replicaPools({ database, lists }: AtriumConfig): ReplicaPools | undefined {
  const { readUrl: url, pooled, statementTimeoutMs } = database;
  if (url === undefined) return undefined;
  return {
    reads: new SnapshotReads({
      url,
      pooled,
      timeoutMs: lists.timeoutMs,
      most: REPLICA_READS,
      name: 'atrium replica reads',
    }),
    exports: new SnapshotReads({
      url,
      pooled,
      timeoutMs: statementTimeoutMs,
      name: 'atrium replica snapshots',
    }),
    limitMs: lists.timeoutMs,
  };
}
