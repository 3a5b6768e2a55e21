import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { EventsModule } from '../events/events.module.js';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { RoomsModule } from '../rooms/rooms.module.js';
import { WorkspacesModule } from '../workspaces/workspaces.module.js';
import { ClosedRoomRetention } from './closed-room-retention.js';
import { CustomRoomAuthoriser } from './custom-room-authoriser.js';
import { CustomRoomsController } from './custom-rooms.controller.js';
import { CustomRoomsService } from './custom-rooms.service.js';
import { RoomMembersController } from './room-members.controller.js';
import { RoomMembersService } from './room-members.service.js';
import { RoomMessagesController } from './room-messages.controller.js';
import { RoomMessagesService } from './room-messages.service.js';

/** Rooms that people make, with members, roles and a history. */
@Module({
  imports: [
    DatabaseModule,
    AuditModule,
    EventsModule,
    IdempotencyModule,
    JobsModule,
    RoomsModule,
    WorkspacesModule,
  ],
  controllers: [CustomRoomsController, RoomMembersController, RoomMessagesController],
  providers: [
    ClosedRoomRetention,
    CustomRoomAuthoriser,
    CustomRoomsService,
    RoomMembersService,
    RoomMessagesService,
  ],
})
export class CustomRoomsModule {}
