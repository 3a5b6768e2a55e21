import { type DynamicModule, Module } from '@nestjs/common';
import { AccountsModule } from './accounts/accounts.module.js';
import { AgentsModule } from './agents/agents.module.js';
import { AuditModule } from './audit/audit.module.js';
import { AuditRetentionModule } from './audit/audit-retention.module.js';
import { BusModule } from './bus/bus.module.js';
import { CommonModule } from './common/common.module.js';
import type { AtriumConfig } from './config/config.js';
import { ConfigModule } from './config/config.module.js';
import { CustomRoomsModule } from './custom-rooms/custom-rooms.module.js';
import { DatabaseModule } from './database/database.module.js';
import { EventsModule } from './events/events.module.js';
import { IdempotencyModule } from './idempotency/idempotency.module.js';
import { ItemsModule } from './items/items.module.js';
import { JobsModule } from './jobs/jobs.module.js';
import { LeasesModule } from './leases/leases.module.js';
import { MailModule } from './mail/mail.module.js';
import { MfaModule } from './mfa/mfa.module.js';
import { HealthModule } from './observability/health/health.module.js';
import { LoggingModule } from './observability/logging/logging.module.js';
import { ManagementModule } from './observability/management/management.module.js';
import { MetricsModule } from './observability/metrics/metrics.module.js';
import { TracingModule } from './observability/tracing/tracing.module.js';
import { RateLimitsModule } from './rate-limits/rate-limits.module.js';
import { OAuthServerModule } from './oauth-server/oauth-server.module.js';
import { OAuthModule } from './oauth/oauth.module.js';
import { RoomsModule } from './rooms/rooms.module.js';
import { SessionRetentionModule } from './sessions/session-retention.module.js';
import { SessionsModule } from './sessions/sessions.module.js';
import { WorkspacesModule } from './workspaces/workspaces.module.js';

/** The map of Atrium: what it consists of. */
@Module({})
export class AppModule {
  static register(config: AtriumConfig): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.register(config),
        CommonModule,
        DatabaseModule,
        BusModule,
        JobsModule,
        EventsModule,
        AuditModule,
        AuditRetentionModule,
        MailModule,
        AccountsModule,
        SessionsModule,
        SessionRetentionModule,
        OAuthModule,
        RateLimitsModule.register(config),
        MfaModule,
        IdempotencyModule,
        WorkspacesModule,
        ItemsModule,
        AgentsModule,
        LeasesModule,
        OAuthServerModule,
        RoomsModule,
        CustomRoomsModule,
        HealthModule,
        LoggingModule,
        MetricsModule,
        TracingModule,
        ManagementModule,
      ],
    };
  }
}
