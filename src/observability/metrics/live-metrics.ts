import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { Bus } from '../../bus/bus.js';
import { Lifecycle } from '../../common/lifecycle.js';
import { eventsHandedOn, replicaAsked, writesCombined } from '../../events/stream-observations.js';
import { StreamTail } from '../../events/stream-tail.js';
import { jobGivenUp, jobRan } from '../../jobs/job-observations.js';
import { Jobs } from '../../jobs/jobs.js';
import { CloseCode } from '../../rooms/close-codes.js';
import { Connections } from '../../rooms/connections.js';
import { EventStreams } from '../../rooms/event-streams.js';
import { RoomHub } from '../../rooms/room-hub.js';
import { handshakeRefused, socketClosed } from '../../rooms/socket-life.js';

/** 1000, 1001, 1005 and 1006 are what clients and networks do; any other one a client may make up. */
const CLOSE_CODES = new Set<number>([1000, 1001, 1005, 1006, 1009, ...Object.values(CloseCode)]);
const LAG_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const RUN_SECONDS = [0.01, 0.05, 0.25, 1, 5, 25, 100, 300];
const BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/** What an instance does besides requests: sockets, rooms, streams, combined writes, jobs, the bus. */
@Injectable()
export class LiveMetrics implements OnApplicationShutdown {
  private endings: (() => void)[] = [];

  constructor(
    private readonly connections: Connections,
    private readonly eventStreams: EventStreams,
    private readonly hub: RoomHub,
    private readonly tail: StreamTail,
    private readonly bus: Bus,
    private readonly lifecycle: Lifecycle,
    private readonly jobs: Jobs,
  ) {}

  register(registry: Registry): void {
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers: [registry],
        collect() {
          this.set(read());
        },
      });
    gauge('atrium_sockets_open', 'Open WebSockets.', () => this.connections.count);
    gauge('atrium_event_streams_open', 'Open streams of server-sent events.', () => this.eventStreams.count);
    gauge('atrium_rooms_open', 'Rooms in which somebody is.', () => this.hub.roomCount);
    gauge(
      'atrium_streams_followed',
      'Streams whose events are handed on here.',
      () => this.tail.followedCount,
    );
    gauge('atrium_bus_up', 'Whether other instances are heard at once.', () => Number(this.bus.isUp));
    gauge('atrium_bus_peers', 'Other instances that are known to be there.', () => this.bus.peerCount);
    gauge('atrium_draining', 'Whether the instance is about to stop.', () => Number(this.lifecycle.draining));
    this.count(registry);
    this.observe(registry);
  }

  onApplicationShutdown(): void {
    for (const end of this.endings) end();
  }

  private count(registry: Registry): void {
    const { hub, jobs } = this;
    let before = hub.deliveries;
    new Counter({
      name: 'atrium_deliveries_total',
      help: 'Events given to sockets and streams as they came; what is caught up with later does not count.',
      registers: [registry],
      collect() {
        this.inc(hub.deliveries - before);
        before = hub.deliveries;
      },
    });
    const closes = new Counter({
      name: 'atrium_socket_closes_total',
      help: 'Sockets that have closed, by code (other: made up by a client).',
      labelNames: ['code'] as const,
      registers: [registry],
    });
    const refusals = new Counter({
      name: 'atrium_handshakes_refused_total',
      help: 'Handshakes that were answered with a problem, by status.',
      labelNames: ['status'] as const,
      registers: [registry],
    });
    const givenUp = new Counter({
      name: 'atrium_jobs_given_up_total',
      help: 'Jobs that failed as often as they may, by queue.',
      labelNames: ['queue'] as const,
      registers: [registry],
      // From zero on, so that the first is seen as an increase.
      collect() {
        for (const queue of jobs.queueNames) this.inc({ queue }, 0);
      },
    });
    this.endings.push(
      jobGivenUp.listen(({ queue }) => givenUp.inc({ queue })),
      socketClosed.listen(({ code }) => closes.inc({ code: CLOSE_CODES.has(code) ? String(code) : 'other' })),
      handshakeRefused.listen(({ status }) => refusals.inc({ status: String(status) })),
    );
  }

  private observe(registry: Registry): void {
    const lag = new Histogram({
      name: 'atrium_stream_lag_seconds',
      help: 'From the write of an event, by the clock of the database, to its delivery here, by the clock of this machine.',
      buckets: LAG_SECONDS,
      registers: [registry],
    });
    const sizes = new Histogram({
      name: 'atrium_write_batch_size',
      help: 'How many writes a statement carried, by its name.',
      labelNames: ['statement'] as const,
      buckets: BATCH_SIZES,
      registers: [registry],
    });
    const runs = new Histogram({
      name: 'atrium_job_run_duration_seconds',
      help: 'How long jobs ran at this instance, by queue and outcome.',
      labelNames: ['queue', 'outcome'] as const,
      buckets: RUN_SECONDS,
      registers: [registry],
    });
    const replica = new Counter({
      name: 'atrium_replica_reads_total',
      help: 'Lists and exports that the replica was to do: that it did, or why the primary did them.',
      labelNames: ['outcome'] as const,
      registers: [registry],
    });
    this.endings.push(
      replicaAsked.listen((told) => replica.inc(told)),
      eventsHandedOn.listen(({ writtenAt }) => lag.observe(Math.max(0, Date.now() - writtenAt) / 1_000)),
      writesCombined.listen(({ statement, size }) => sizes.observe({ statement }, size)),
      jobRan.listen(({ queue, outcome, durationMs }) => runs.observe({ queue, outcome }, durationMs / 1_000)),
    );
  }
}
