import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { EventsModule } from '../events/events.module.js';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { WorkspacesModule } from '../workspaces/workspaces.module.js';
import { ItemBatchController } from './item-batch.controller.js';
import { ItemBatches } from './item-batches.js';
import { ItemCursors } from './item-cursors.js';
import { ItemExportController } from './item-export.controller.js';
import { ItemExportReaders } from './item-export-readers.js';
import { ItemExports } from './item-exports.js';
import { ItemHistoryController } from './item-history.controller.js';
import { ItemHistory } from './item-history.service.js';
import { ItemHomes } from './item-homes.js';
import { ItemImportRooms } from './item-import-rooms.js';
import { ItemImportRetention } from './item-import-retention.js';
import { ItemImportRuns } from './item-import-runs.js';
import { ItemImportsController } from './item-imports.controller.js';
import { ItemImports } from './item-imports.service.js';
import { LargeItems } from './item-lanes.js';
import { ItemLists } from './item-lists.service.js';
import { ItemPatches } from './item-patches.js';
import { ItemPurge } from './item-purge.js';
import { ItemRooms } from './item-rooms.js';
import { ItemSearchIndex } from './item-search-index.js';
import { ItemTrashController } from './item-trash.controller.js';
import { ItemTrash } from './item-trash.service.js';
import { ItemsController } from './items.controller.js';
import { ItemsService } from './items.service.js';

/** Versioned JSON documents. */
@Module({
  imports: [
    AuditModule,
    DatabaseModule,
    EventsModule,
    IdempotencyModule,
    JobsModule,
    SessionsModule,
    WorkspacesModule,
  ],
  controllers: [
    ItemBatchController,
    ItemExportController,
    ItemImportsController,
    ItemHistoryController,
    ItemTrashController,
    ItemsController,
  ],
  providers: [
    ItemBatches,
    ItemCursors,
    ItemExportReaders,
    ItemExports,
    ItemHistory,
    ItemHomes,
    ItemImportRooms,
    ItemImportRetention,
    ItemImportRuns,
    ItemImports,
    ItemLists,
    ItemPatches,
    ItemPurge,
    ItemRooms,
    ItemSearchIndex,
    ItemTrash,
    ItemsService,
    LargeItems,
  ],
})
export class ItemsModule {}
