import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AgentEndings, type EndingAgent } from '../agents/agent-endings.js';
import type { NewEvent } from '../events/event-appends.js';
import { itemRoom } from '../items/items.events.js';
import { RETURN_LEASES } from './lease-returns.sql.js';
import { LEASE_RELEASED } from './leases.events.js';

interface ReturnedRow {
  item_id: string;
  work: string;
}

/** Hands back what an agent holds when it may not work any more: nobody waits for its leases to expire. */
@Injectable()
export class LeaseReturns implements OnModuleInit {
  constructor(private readonly endings: AgentEndings) {}

  onModuleInit(): void {
    this.endings.add(handBack);
  }
}

async function handBack(
  manager: EntityManager,
  { agentId, workspaceId, endedBy, reason }: EndingAgent,
): Promise<readonly NewEvent[]> {
  const rows = await manager.query<ReturnedRow[]>(RETURN_LEASES, [agentId, workspaceId, reason]);
  return rows.map(({ item_id: itemId, work }) => ({
    streamId: workspaceId,
    subject: itemRoom(itemId),
    type: LEASE_RELEASED,
    principalId: endedBy,
    data: JSON.parse(work) as unknown,
  }));
}
