import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { DatabaseModule } from '../database/database.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { IdempotencyGuard } from './idempotency.guard.js';
import { IdempotencyKeys } from './idempotency-keys.js';
import { KeptAnswersModule } from './kept-answers.module.js';

/**
 * Repeated requests. To be named after the modules whose guards decide whether a request may run at all: guards run
 * in order.
 */
@Module({
  imports: [DatabaseModule, JobsModule, KeptAnswersModule],
  providers: [IdempotencyKeys, { provide: APP_GUARD, useClass: IdempotencyGuard }],
  exports: [KeptAnswersModule],
})
export class IdempotencyModule {}
