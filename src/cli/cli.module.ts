import { type DynamicModule, Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.js';
import { AgentGrants } from '../agents/agent-grants.js';
import { AuditModule } from '../audit/audit.module.js';
import { CommonModule } from '../common/common.module.js';
import type { AtriumConfig } from '../config/config.js';
import { ConfigModule } from '../config/config.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { RateLimitsModule } from '../rate-limits/rate-limits.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { SignOutCommands } from './sign-out-commands.js';

/** What the command line needs of Atrium: no server, no sockets, no jobs. */
@Module({})
export class CliModule {
  static register(config: AtriumConfig): DynamicModule {
    return {
      module: CliModule,
      imports: [
        ConfigModule.register(config),
        CommonModule,
        DatabaseModule,
        AuditModule,
        AccountsModule,
        SessionsModule,
        RateLimitsModule.register(config),
      ],
      providers: [AgentGrants, SignOutCommands],
    };
  }
}
