import { type DynamicModule, Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.js';
import { AgentEdits } from '../agents/agent-edits.js';
import { AgentEndings } from '../agents/agent-endings.js';
import { AgentGrants } from '../agents/agent-grants.js';
import { AuditModule } from '../audit/audit.module.js';
import { BusModule } from '../bus/bus.module.js';
import { CommonModule } from '../common/common.module.js';
import type { AtriumConfig } from '../config/config.js';
import { ConfigModule } from '../config/config.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { Announcements } from '../events/announcements.js';
import { AppendingTransactions } from '../events/appending-transactions.js';
import { EventAppends } from '../events/event-appends.js';
import { JOBS_ELSEWHERE } from '../jobs/jobs-elsewhere.js';
import { LeaseReturns } from '../leases/lease-returns.js';
import { RateLimitsModule } from '../rate-limits/rate-limits.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { SignOutCommands } from './sign-out-commands.js';

/** What the command line needs of Atrium: no server, no sockets; jobs are left to the instances. */
@Module({})
export class CliModule {
  static register(config: AtriumConfig): DynamicModule {
    return {
      module: CliModule,
      // For the modules that say how jobs are done.
      global: true,
      imports: [
        ConfigModule.register(config),
        CommonModule,
        DatabaseModule,
        BusModule,
        AuditModule,
        AccountsModule,
        SessionsModule,
        RateLimitsModule.register(config),
      ],
      // Without the modules of events, agents and leases, which would follow streams.
      providers: [
        Announcements,
        AppendingTransactions,
        EventAppends,
        AgentEdits,
        AgentEndings,
        AgentGrants,
        { provide: JOBS_ELSEWHERE, useValue: true },
        LeaseReturns,
        SignOutCommands,
      ],
      exports: [JOBS_ELSEWHERE],
    };
  }
}
