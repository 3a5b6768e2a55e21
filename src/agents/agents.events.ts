import type { NewEvent } from '../events/event-appends.js';
import { type AgentRow, toAgentResponse } from './agents.dto.js';
import { type CredentialRow, toCredentialResponse } from './credentials.dto.js';

export const AGENT_CREATED = 'agent.created';
export const AGENT_UPDATED = 'agent.updated';
export const AGENT_DISABLED = 'agent.disabled';
export const AGENT_ENABLED = 'agent.enabled';
export const AGENT_DELETED = 'agent.deleted';
export const CREDENTIAL_ADDED = 'agent.credential_added';
export const CREDENTIAL_UPDATED = 'agent.credential_updated';
export const CREDENTIAL_REMOVED = 'agent.credential_removed';

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

/** An event about a credential of an agent; never with a secret. */
export const credentialEvent = (
  type: string,
  principalId: string,
  agent: AgentRow,
  credential: CredentialRow,
): NewEvent => ({
  streamId: agent.workspace_id,
  subject: agentRoom(agent.id),
  type,
  principalId,
  data: { ...toCredentialResponse(credential), agentId: agent.id, workspaceId: agent.workspace_id },
});
