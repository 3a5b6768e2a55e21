import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { NewEvent } from '../events/event-appends.js';

/** Memberships that end in a transaction. */
export interface EndingMemberships {
  readonly principalId: string;
  readonly workspaceIds: readonly string[];
  /** Who ends them. */
  readonly endedBy: string;
}

/** Deletes what a feature keeps of somebody as a member, and tells of it. */
export type MembershipEndingStep = (
  manager: EntityManager,
  ending: EndingMemberships,
) => Promise<readonly NewEvent[]>;

/** What goes with a membership. Features say what they keep of members, without workspaces knowing them. */
@Injectable()
export class MembershipEndings {
  private readonly steps: MembershipEndingStep[] = [];

  /** Adds a step; called once per module, at start-up. */
  add(step: MembershipEndingStep): void {
    this.steps.push(step);
  }

  /**
   * Runs every step, before the memberships are deleted.
   * @returns the events to append behind those that tell of the ends
   */
  async run(manager: EntityManager, ending: EndingMemberships): Promise<NewEvent[]> {
    const events: NewEvent[] = [];
    for (const step of this.steps) events.push(...(await step(manager, ending)));
    return events;
  }
}
