import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { EventsModule } from '../events/events.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { WorkspacesModule } from '../workspaces/workspaces.module.js';
import { AgentChanges } from './agent-changes.js';
import { AgentGrants } from './agent-grants.js';
import { AgentLogins } from './agent-logins.js';
import { AgentRooms } from './agent-rooms.js';
import { AgentsController } from './agents.controller.js';
import { AgentsService } from './agents.service.js';

/** Machine clients as principals beside people: what they are, may do, and prove themselves by. */
@Module({
  imports: [AuditModule, DatabaseModule, EventsModule, SessionsModule, WorkspacesModule],
  controllers: [AgentsController],
  providers: [AgentChanges, AgentGrants, AgentLogins, AgentRooms, AgentsService],
  exports: [AgentGrants, AgentLogins, AgentsService],
})
export class AgentsModule {}
