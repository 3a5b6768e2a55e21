import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { EventsModule } from '../events/events.module.js';
import { AccountDepartures } from './account-departures.js';
import { WorkspaceRooms } from './workspace-rooms.js';
import { WorkspacesController } from './workspaces.controller.js';
import { WorkspacesService } from './workspaces.service.js';

/** Tenancy and membership. */
@Module({
  imports: [DatabaseModule, AccountsModule, EventsModule],
  controllers: [WorkspacesController],
  providers: [AccountDepartures, WorkspaceRooms, WorkspacesService],
})
export class WorkspacesModule {}
