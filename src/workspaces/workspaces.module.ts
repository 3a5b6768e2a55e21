import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.js';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { EventsModule } from '../events/events.module.js';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { MailModule } from '../mail/mail.module.js';
import { AccountDepartures } from './account-departures.js';
import { InvitationMails } from './invitation-mails.js';
import { InvitationRetention } from './invitation-retention.js';
import { InvitationsController } from './invitations.controller.js';
import { InvitationsService } from './invitations.service.js';
import { MembersController } from './members.controller.js';
import { MembersService } from './members.service.js';
import { MembershipEndings } from './membership-endings.js';
import { WorkspaceAuditController } from './workspace-audit.controller.js';
import { WorkspaceAuditService } from './workspace-audit.service.js';
import { WorkspaceDeletion } from './workspace-deletion.js';
import { WorkspaceRooms } from './workspace-rooms.js';
import { WorkspacesController } from './workspaces.controller.js';
import { WorkspacesService } from './workspaces.service.js';

/** Tenancy and membership. */
@Module({
  imports: [
    DatabaseModule,
    AccountsModule,
    AuditModule,
    EventsModule,
    IdempotencyModule,
    JobsModule,
    MailModule,
  ],
  controllers: [WorkspacesController, MembersController, InvitationsController, WorkspaceAuditController],
  providers: [
    AccountDepartures,
    WorkspaceRooms,
    WorkspaceDeletion,
    MembershipEndings,
    WorkspacesService,
    MembersService,
    InvitationMails,
    InvitationRetention,
    InvitationsService,
    WorkspaceAuditService,
  ],
  exports: [MembershipEndings, WorkspaceDeletion],
})
export class WorkspacesModule {}
