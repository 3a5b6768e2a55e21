import { Module } from '@nestjs/common';
import { AgentsModule } from '../agents/agents.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { EventsModule } from '../events/events.module.js';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { RoomsModule } from '../rooms/rooms.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { WorkspacesModule } from '../workspaces/workspaces.module.js';
import { AgentSockets } from './agent-sockets.js';
import { AgentsGateway } from './agents.gateway.js';
import { DeadItems } from './dead-items.js';
import { Heartbeats } from './heartbeats.js';
import { HeartbeatsController } from './heartbeats.controller.js';
import { LeaseClaims } from './lease-claims.js';
import { LeaseExpiry } from './lease-expiry.js';
import { LeasePushes } from './lease-pushes.js';
import { LeaseReturns } from './lease-returns.js';
import { LeaseTypes } from './lease-types.js';
import { LeaseWaiters } from './lease-waiters.js';
import { LeaseWorkController } from './lease-work.controller.js';
import { LeasesController } from './leases.controller.js';
import { LeasesService } from './leases.service.js';

/** Exclusive, expiring claims of agents on items. */
@Module({
  imports: [
    AgentsModule,
    DatabaseModule,
    EventsModule,
    IdempotencyModule,
    JobsModule,
    RoomsModule,
    SessionsModule,
    WorkspacesModule,
  ],
  controllers: [HeartbeatsController, LeaseWorkController, LeasesController],
  providers: [
    AgentSockets,
    AgentsGateway,
    DeadItems,
    Heartbeats,
    LeaseClaims,
    LeaseExpiry,
    LeasePushes,
    LeaseReturns,
    LeaseTypes,
    LeaseWaiters,
    LeasesService,
  ],
})
export class LeasesModule {}
