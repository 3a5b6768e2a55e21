import { Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { AuditModule } from './audit.module.js';
import { AuditRetention } from './audit-retention.js';

/** For instances alone: the command line records, too, and removes nothing. */
@Module({ imports: [DatabaseModule, JobsModule, AuditModule], providers: [AuditRetention] })
export class AuditRetentionModule {}
