import type { NewEvent } from '../events/event-appends.js';
import { type AgentRow, toAgentResponse } from './agents.dto.js';

export const AGENT_CREATED = 'agent.created';
export const AGENT_UPDATED = 'agent.updated';
export const AGENT_DISABLED = 'agent.disabled';
export const AGENT_ENABLED = 'agent.enabled';
export const AGENT_DELETED = 'agent.deleted';

/** The room of one agent, and the subject of its events. */
export const agentRoom = (id: string): string => `agents/${id}`;

/** An event about an agent, as it is after it; never with a secret. */
export const agentEvent = (type: string, principalId: string, row: AgentRow): NewEvent => ({
  streamId: row.workspace_id,
  subject: agentRoom(row.id),
  type,
  principalId,
  data: toAgentResponse(row),
});
