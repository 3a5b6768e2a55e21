import { Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { EventsModule } from '../events/events.module.js';
import { WorkspacesModule } from '../workspaces/workspaces.module.js';
import { ItemPatches } from './item-patches.js';
import { ItemRooms } from './item-rooms.js';
import { ItemsController } from './items.controller.js';
import { ItemsService } from './items.service.js';

/** Versioned JSON documents. */
@Module({
  imports: [DatabaseModule, EventsModule, WorkspacesModule],
  controllers: [ItemsController],
  providers: [ItemPatches, ItemRooms, ItemsService],
})
export class ItemsModule {}
