import { Module } from '@nestjs/common';
import { AgentsModule } from '../agents/agents.module.js';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { EventsModule } from '../events/events.module.js';
import { KeptAnswersModule } from '../idempotency/kept-answers.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { ClientAuthentication } from './client-authentication.js';
import { DeviceCodes } from './device-codes.service.js';
import { DevicePageController } from './device-page.controller.js';
import { DevicesController } from './devices.controller.js';
import { DevicesService } from './devices.service.js';
import { MetadataController } from './metadata.controller.js';
import { TokenInspection } from './token-inspection.js';
import { TokensController } from './tokens.controller.js';
import { TokensService } from './tokens.service.js';

/** The token server of agents (OAuth 2.0). */
@Module({
  imports: [AgentsModule, AuditModule, DatabaseModule, EventsModule, KeptAnswersModule, SessionsModule],
  controllers: [DevicePageController, DevicesController, MetadataController, TokensController],
  providers: [ClientAuthentication, DeviceCodes, DevicesService, TokenInspection, TokensService],
})
export class OAuthServerModule {}
