import type { EntityManager } from 'typeorm';
import type { Caller } from '../workspaces/requires.js';
import { lockWorkspace } from '../workspaces/workspace-lock.js';
import type { AgentRow } from './agents.dto.js';
import { AgentNotFound } from './agents.errors.js';
import { LOCK_AGENT, LOCK_WORKSPACE_OF, WORKSPACE_OF } from './agents.sql.js';

/**
 * Whatever changes an agent or its credentials begins here: behind the lock that changes of the workspace's members
 * take, so each decides by what the last one left.
 * @throws {AgentNotFound} if the caller may not see it, or is this agent and was disabled
 * @throws {import('../common/problem.js').Forbidden} if the caller's role does not allow it
 */
export async function lockAgent(manager: EntityManager, caller: Caller, id: string): Promise<AgentRow> {
  const [seen] = await manager.query<{ workspace_id: string }[]>(WORKSPACE_OF, [id, caller.id]);
  if (!seen) throw new AgentNotFound();
  await lockWorkspace(manager, caller, seen.workspace_id, id);
  const [agent] = await manager.query<AgentRow[]>(LOCK_AGENT, [id]);
  if (!agent || (id === caller.id && agent.status !== 'enabled')) throw new AgentNotFound();
  return agent;
}

/** {@link lockAgent} for whoever runs the server, and is no member. @throws {AgentNotFound} */
export async function lockAgentForOperator(manager: EntityManager, id: string): Promise<AgentRow> {
  await manager.query(LOCK_WORKSPACE_OF, [id]);
  const [agent] = await manager.query<AgentRow[]>(LOCK_AGENT, [id]);
  if (!agent) throw new AgentNotFound();
  return agent;
}
