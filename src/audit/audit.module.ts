import { Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { AuditTrail } from './audit-trail.js';

/** The record of security events. */
@Module({
  imports: [DatabaseModule],
  providers: [AuditTrail],
  exports: [AuditTrail],
})
export class AuditModule {}
