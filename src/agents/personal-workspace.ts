import type { EntityManager } from 'typeorm';
import { WorkspaceNotFound } from '../workspaces/workspaces.errors.js';
import { PERSONAL_WORKSPACE } from './agents.sql.js';

/**
 * The workspace that is meant where none is named.
 * @throws {WorkspaceNotFound} for somebody who gave it away
 */
export async function personalWorkspace(manager: EntityManager, principalId: string): Promise<string> {
  const [workspace] = await manager.query<{ id: string }[]>(PERSONAL_WORKSPACE, [principalId]);
  if (!workspace) throw new WorkspaceNotFound();
  return workspace.id;
}
