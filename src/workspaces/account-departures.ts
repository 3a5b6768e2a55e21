import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccountDeletion } from '../accounts/account-deletion.js';
import type { AfterCommit } from '../accounts/sign-outs.js';
import { Announcements } from '../events/announcements.js';
import { EventAppends } from '../events/event-appends.js';
import { OwnsWorkspaces } from './departure.errors.js';
import { MembershipEndings } from './membership-endings.js';
import type { Role } from './membership.entity.js';
import { WorkspaceDeletion } from './workspace-deletion.js';
import { MEMBER_REMOVED, workspaceEvent } from './workspaces.events.js';

interface OwnedWorkspace {
  id: string;
  name: string;
  version: number;
  personal: boolean;
  shared: boolean;
}

interface LostMembership {
  workspace_id: string;
  role: Role;
  version: number;
}

/** As every change of members begins: two owners who leave at once wait here, and the second is the last. */
const LOCK = `
  SELECT w.id FROM workspaces w JOIN memberships m ON m.workspace_id = w.id
  WHERE m.principal_id = $1 ORDER BY w.id FOR NO KEY UPDATE OF w`;

const OWNED = `
  SELECT w.id, w.name, w.version, (w.personal_user_id = $1) IS TRUE AS personal,
    EXISTS (SELECT 1 FROM memberships o WHERE o.workspace_id = w.id AND o.role = 'owner' AND o.principal_id <> $1)
      AS shared
  FROM workspaces w JOIN memberships m ON m.workspace_id = w.id
  WHERE m.principal_id = $1 AND m.role = 'owner' ORDER BY w.id`;

/**
 * What an account leaves behind in workspaces when it is deleted. Its personal workspace goes with everything in
 * it, unless it has another owner; it leaves the others, which must have one.
 */
@Injectable()
export class AccountDepartures implements OnModuleInit {
  constructor(
    private readonly deletion: AccountDeletion,
    private readonly workspaceDeletion: WorkspaceDeletion,
    private readonly endings: MembershipEndings,
    private readonly appends: EventAppends,
    private readonly announcements: Announcements,
  ) {}

  onModuleInit(): void {
    this.deletion.add((manager, { id }) => this.depart(manager, id));
  }

  /** @throws {OwnsWorkspaces} */
  private async depart(manager: EntityManager, userId: string): Promise<AfterCommit> {
    const locked = await manager.query<{ id: string }[]>(LOCK, [userId]);
    const owned = await manager.query<OwnedWorkspace[]>(OWNED, [userId]);
    const orphaned = owned.filter(({ personal, shared }) => !personal && !shared);
    if (orphaned.length > 0) throw new OwnsWorkspaces(orphaned);
    const personal = owned.find((workspace) => workspace.personal && !workspace.shared);
    const ends = personal ? [await this.workspaceDeletion.run(manager, personal, userId)] : [];
    // It may have been given away.
    await manager.query(`UPDATE workspaces SET personal_user_id = NULL WHERE personal_user_id = $1`, [
      userId,
    ]);
    const workspaceIds = locked.map(({ id }) => id);
    const goes = await this.endings.run(manager, { principalId: userId, workspaceIds, endedBy: userId });
    const [lost] = await manager.query<[LostMembership[], number]>(
      `DELETE FROM memberships WHERE principal_id = $1 RETURNING workspace_id, role, version`,
      [userId],
    );
    await manager.query(`DELETE FROM invitations WHERE invited_by = $1`, [userId]);
    const left = lost.map(({ workspace_id: workspaceId, role, version }) =>
      workspaceEvent(MEMBER_REMOVED, workspaceId, userId, {
        id: userId,
        version: version + 1,
        workspaceId,
        principalId: userId,
        role,
      }),
    );
    const events = await this.appends.appendWithin(manager, [...left, ...goes], true);
    return () => this.announcements.announce([...ends, ...events]);
  }
}
