import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { StreamEvent } from '../events/stream-event.js';
import { newId } from '../common/identifiers.js';
import { Streams } from '../events/streams.js';
import { WORKSPACE_DELETED, workspaceSubject } from './workspaces.events.js';

/** Deletes what a feature keeps in a workspace. */
export type WorkspaceDeletionStep = (manager: EntityManager, workspaceId: string) => Promise<void>;

/** Deletes workspaces with everything in them. Features say what they have there, without workspaces knowing them. */
@Injectable()
export class WorkspaceDeletion {
  private readonly steps: WorkspaceDeletionStep[] = [];

  constructor(private readonly streams: Streams) {}

  /**
   * Adds a step; called once per module, at start-up. Rows that refer to the workspace would go without it, but
   * only after the counter is held, while their writers take the counter last: they would block each other.
   */
  add(step: WorkspaceDeletionStep): void {
    this.steps.push(step);
  }

  /**
   * Deletes a locked workspace as the last thing that its transaction does.
   * @returns the event that ends the stream, to be announced after the commit; the stream itself keeps nothing
   */
  async run(
    manager: EntityManager,
    workspace: { readonly id: string; readonly name: string; readonly version: number },
    principalId: string,
  ): Promise<StreamEvent> {
    const { id, name, version } = workspace;
    for (const step of this.steps) await step(manager, id);
    const { seq, time } = await this.streams.end(manager, id);
    // With the counter held nobody can commit anything here any more: what is left now is all.
    await manager.query('DELETE FROM events WHERE stream_id = $1', [id]);
    await manager.query('DELETE FROM workspaces WHERE id = $1', [id]);
    return new StreamEvent({
      streamId: id,
      seq,
      id: newId(),
      type: WORKSPACE_DELETED,
      subject: workspaceSubject(id),
      principalId,
      time,
      data: JSON.stringify({ id, name, version: version + 1 }),
    });
  }
}
