import { Module } from '@nestjs/common';
import { BusModule } from '../bus/bus.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { Jobs } from './jobs.js';

/** Work that is done once across instances, and survives the death of any. Knows no feature. */
@Module({ imports: [DatabaseModule, BusModule], providers: [Jobs], exports: [Jobs] })
export class JobsModule {}
