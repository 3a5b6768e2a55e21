import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { EventsModule } from '../events/events.module.js';
import { KeptAnswersModule } from '../idempotency/kept-answers.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { WorkspacesModule } from '../workspaces/workspaces.module.js';
import { AgentChanges } from './agent-changes.js';
import { AgentCredentialsController } from './agent-credentials.controller.js';
import { AgentCredentials } from './agent-credentials.service.js';
import { AgentDevices } from './agent-devices.js';
import { AgentEdits } from './agent-edits.js';
import { AgentEndings } from './agent-endings.js';
import { AgentGrants } from './agent-grants.js';
import { AgentLogins } from './agent-logins.js';
import { AgentRooms } from './agent-rooms.js';
import { AgentsController } from './agents.controller.js';
import { AgentsService } from './agents.service.js';
import { ClientAssertions } from './client-assertions.js';
import { EnrolmentController } from './enrolment.controller.js';
import { Enrolment } from './enrolment.service.js';

/** Machine clients as principals beside people: what they are, may do, and prove themselves by. */
@Module({
  imports: [AuditModule, DatabaseModule, EventsModule, KeptAnswersModule, SessionsModule, WorkspacesModule],
  controllers: [EnrolmentController, AgentCredentialsController, AgentsController],
  providers: [
    AgentChanges,
    AgentDevices,
    AgentCredentials,
    AgentEdits,
    AgentEndings,
    AgentGrants,
    AgentLogins,
    AgentRooms,
    AgentsService,
    ClientAssertions,
    Enrolment,
  ],
  exports: [
    AgentCredentials,
    AgentDevices,
    AgentEndings,
    AgentGrants,
    AgentLogins,
    AgentsService,
    ClientAssertions,
  ],
})
export class AgentsModule {}
