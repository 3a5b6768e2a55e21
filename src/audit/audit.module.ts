import { Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { AuditTrail } from './audit-trail.js';
import { MyAuditController } from './my-audit.controller.js';
import { MyAuditService } from './my-audit.service.js';

/** The record of security events. */
@Module({
  imports: [DatabaseModule],
  controllers: [MyAuditController],
  providers: [AuditTrail, MyAuditService],
  exports: [AuditTrail],
})
export class AuditModule {}
