import { Injectable } from '@nestjs/common';
import { endsWith, type Principal } from '../common/access.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import type { FollowedStream } from '../events/followed-stream.js';
import type { StreamEvent } from '../events/stream-event.js';
import { StreamTail, type TailListener } from '../events/stream-tail.js';
import { SessionRevocations } from '../sessions/session-revocations.js';
import { accessChange } from '../workspaces/workspaces.events.js';
import { LISTED_WORKSPACE } from './item-list.sql.js';

interface Reader {
  readonly caller: Principal;
  /** Ends what it reads. */
  readonly cut: () => void;
}

/** Who reads an export, and is to get no further once the session or the membership has ended, at whichever instance. */
@Injectable()
export class ItemExportReaders implements TailListener {
  private readonly byWorkspace = new Map<string, Set<Reader>>();

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly tail: StreamTail,
    private readonly revocations: SessionRevocations,
  ) {
    tail.listen(this);
    revocations.onRevoked((ended) => this.cutThose(ended));
  }

  /**
   * Has `cut` called as soon as the caller may not read on; at once, if that is so already. Within a second, at most.
   * @returns to be called when the export has ended
   */
  async add(caller: Principal, workspaceId: string, cut: () => void): Promise<() => void> {
    await this.tail.follow(workspaceId);
    const reader = { caller, cut };
    const readers = this.byWorkspace.get(workspaceId) ?? new Set();
    this.byWorkspace.set(workspaceId, readers.add(reader));
    const remove = (): void => {
      if (!readers.delete(reader)) return;
      if (readers.size === 0) this.byWorkspace.delete(workspaceId);
      this.tail.unfollow(workspaceId);
    };
    try {
      // What ended before anybody listened.
      if (this.revocations.hasEnded(caller) || !(await this.mayRead(caller, workspaceId))) cut();
      return remove;
    } catch (error) {
      remove();
      throw error;
    }
  }

  /** Whether somebody may read the items of a workspace, as it is now. */
  async mayRead({ id }: Principal, workspaceId: string): Promise<boolean> {
    return (await this.statements.run(LISTED_WORKSPACE, [id, workspaceId])).length > 0;
  }

  onEvents({ id }: FollowedStream, events: readonly StreamEvent[]): void {
    const readers = this.byWorkspace.get(id);
    if (!readers) return;
    for (const event of events) {
      const change = accessChange(event);
      // Every role may read.
      if (!change || change.kind === 'role-changed') continue;
      for (const { caller, cut } of readers)
        if (change.kind === 'everybody-out' || change.principalId === caller.id) cut();
    }
  }

  /** What was missed may have been the end of a membership. */
  onReset({ id }: FollowedStream): void {
    for (const { cut } of this.byWorkspace.get(id) ?? []) cut();
  }

  onEnd(stream: FollowedStream): void {
    this.onReset(stream);
  }

  private cutThose(ended: string): void {
    for (const readers of this.byWorkspace.values())
      for (const { caller, cut } of readers) if (endsWith(caller, ended)) cut();
  }
}
