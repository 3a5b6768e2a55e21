import type { EntityManager } from 'typeorm';
import { type VersionCondition } from '../common/conditional.js';
import { Forbidden, VersionMismatch } from '../common/problem.js';
import type { Role } from './membership.entity.js';
import { may } from './permissions.js';
import type { Caller } from './requires.js';
import { OwnersOnly, WorkspaceNotFound } from './workspaces.errors.js';

/** A workspace whose members nobody else changes until the transaction ends. */
export interface LockedWorkspace {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly personal_user_id: string | null;
  /** The caller's. */
  readonly role: Role;
}

/** Strangers wait for nothing and hold up nobody. Writers of items are not held up either. */
const LOCK = `SELECT 1 FROM workspaces w JOIN memberships m ON m.workspace_id = w.id AND m.principal_id = $2
  WHERE w.id = $1 FOR NO KEY UPDATE OF w`;
/** After the wait, so that it sees what the last change has made of the members. */
const READ = `SELECT w.id, w.name, w.version, w.personal_user_id, m.role FROM workspaces w
  JOIN memberships m ON m.workspace_id = w.id AND m.principal_id = $2 WHERE w.id = $1`;

/**
 * Whatever changes a workspace, its members or its invitations begins here, so such changes happen one after
 * another and each decides by what the last one left.
 * @param subject the member that it is about
 * @throws {WorkspaceNotFound} if the caller is not a member
 * @throws {Forbidden} if the caller lacks the permission that the route requires
 */
export async function lockWorkspace(
  manager: EntityManager,
  caller: Caller,
  id: string,
  subject?: string,
): Promise<LockedWorkspace> {
  const locked = await manager.query<unknown[]>(LOCK, [id, caller.id]);
  const [workspace] = locked.length > 0 ? await manager.query<LockedWorkspace[]>(READ, [id, caller.id]) : [];
  if (!workspace) throw new WorkspaceNotFound();
  if (!may(workspace.role, caller.permission) && !(caller.orSelf && subject === caller.id))
    throw new Forbidden();
  return workspace;
}

/** @throws {OwnersOnly} if one of the roles is an owner's, and the caller may not deal with owners */
export function requireOwnersManager({ role }: LockedWorkspace, ...concerned: Role[]): void {
  if (concerned.includes('owner') && !may(role, 'owners:manage')) throw new OwnersOnly();
}

/** @throws {VersionMismatch} if `ifMatch` does not name the version */
export function requireVersion(version: number, ifMatch: VersionCondition | undefined): void {
  if (ifMatch !== undefined && ifMatch !== '*' && !ifMatch.includes(version))
    throw new VersionMismatch(version);
}
