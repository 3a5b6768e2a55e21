import { Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { SessionRetention } from './session-retention.js';

/** For instances alone: the command line ends sessions, too, and forgets none. */
@Module({ imports: [DatabaseModule, JobsModule], providers: [SessionRetention] })
export class SessionRetentionModule {}
