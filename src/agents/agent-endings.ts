import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { NewEvent } from '../events/event-appends.js';

/** An agent that may not do its work any more. */
export interface EndingAgent {
  readonly agentId: string;
  readonly workspaceId: string;
  /** Who ended that. */
  readonly endedBy: string;
  readonly reason: 'disabled' | 'deleted' | 'scope_lost';
}

/** Takes back what an agent was given, and tells of it. It may be run twice in a transaction. */
export type AgentEndingStep = (manager: EntityManager, ending: EndingAgent) => Promise<readonly NewEvent[]>;

/** What is taken from an agent that may not work any more. Features say what they give to agents, unknown to these. */
@Injectable()
export class AgentEndings {
  private readonly steps: AgentEndingStep[] = [];

  /** Adds a step; called once per module, at start-up. */
  add(step: AgentEndingStep): void {
    this.steps.push(step);
  }

  /** Runs every step. @returns the events to append behind the one that tells of the agent */
  async run(manager: EntityManager, ending: EndingAgent): Promise<NewEvent[]> {
    const events: NewEvent[] = [];
    for (const step of this.steps) events.push(...(await step(manager, ending)));
    return events;
  }
}
