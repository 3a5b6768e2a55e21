import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { AuditEntry } from './audit-entry.entity.js';

/** What is recorded. `detail` holds plain facts and never a secret: no password, token, code or hash. */
export interface AuditEvent {
  readonly action: string;
  readonly client: ClientInfo;
  readonly userId?: string;
  readonly workspaceId?: string;
  readonly principalId?: string;
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
}

/** The append-only record of what matters to security. */
@Injectable()
export class AuditTrail {
  constructor(private readonly database: DataSource) {}

  /** Adds an entry, with the transaction of what it records if there is one. */
  async record(event: AuditEvent, manager: EntityManager = this.database.manager): Promise<void> {
    await manager.insert(AuditEntry, {
      id: newId(),
      action: event.action,
      userId: event.userId ?? null,
      workspaceId: event.workspaceId ?? null,
      principalId: event.principalId ?? null,
      address: event.client.address,
      userAgent: event.client.userAgent,
      requestId: event.client.requestId,
      detail: event.detail ?? {},
    });
  }
}
