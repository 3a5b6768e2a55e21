import { Injectable } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import { Forbidden } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { AtriumConfig } from '../config/config.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Announcements } from '../events/announcements.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { WriteCombiner } from '../events/write-combiner.js';
import { CLAIM_LEASES, type ClaimInput, NEXT_DUE } from './lease-claim.sql.js';
import { LeaseTypes } from './lease-types.js';
import { LeaseWaiters } from './lease-waiters.js';
import type { ClaimRequest, LeaseList } from './leases.dto.js';
import { AgentsOnly } from './leases.errors.js';
import { toEvents } from './leases.events.js';

interface ClaimRow {
  n: string;
  forbidden: string;
  leases: string | null;
  events: string | null;
}

/** The least time between two looks at what is due by the clock, in ms. */
const LEAST_WAIT_MS = 25;

/** Gives items to agents: each to one at a time. */
@Injectable()
export class LeaseClaims {
  private readonly claims: WriteCombiner<ClaimInput, ClaimRow>;
  private readonly heldMost: number;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly types: LeaseTypes,
    private readonly waiters: LeaseWaiters,
    private readonly epoch: Epoch,
    announcements: Announcements,
    config: AtriumConfig,
  ) {
    this.heldMost = config.leases.perAgent;
    this.claims = new WriteCombiner(statements, CLAIM_LEASES, (rows) =>
      announcements.announce(rows.flatMap(({ events }) => toEvents(events)).sort((a, b) => a.seq - b.seq)),
    );
  }

  /**
   * Claims items that are due, the most urgent first; of those equally urgent, what has been due for longest. Waits for
   * the first one if the caller wants to, until something happens in the workspace or another one is due by the clock.
   * @param gone aborted when the caller does not listen any more: then nothing more is claimed
   * @throws {AgentsOnly} for people
   * @throws {Forbidden} for an agent that is disabled
   * @throws {import('./leases.errors.js').TooManyLeaseTypes}
   */
  async claim(
    { id, agent }: Principal,
    { types, filter, limit = 1, ttlSeconds = 60, waitSeconds = 0 }: ClaimRequest,
    gone: AbortSignal,
  ): Promise<Representation<LeaseList>> {
    if (!agent) throw new AgentsOnly();
    const { workspaceId } = agent;
    await this.types.ensure(workspaceId, types);
    const input: ClaimInput = {
      agent_id: id,
      workspace_id: workspaceId,
      types: types.toSorted(),
      labels: filter?.labels ?? {},
      ttl: ttlSeconds,
      most: limit,
      held_most: this.heldMost,
    };
    const first = await this.attempt(input);
    if (first || waitSeconds === 0) return first ?? NONE;
    return this.waitFor(input, waitSeconds * 1_000, gone);
  }

  private waitFor(input: ClaimInput, waitMs: number, gone: AbortSignal): Promise<Representation<LeaseList>> {
    const deadline = performance.now() + waitMs;
    return this.waiters.during(input.workspace_id, input.types, async (waiter) => {
      for (;;) {
        // What was committed before anybody listened is found here.
        const found = gone.aborted ? NONE : await this.attempt(input);
        const left = deadline - performance.now();
        if (found || left <= 0 || this.waiters.closing) return found ?? NONE;
        const due = await this.nextDue(input);
        await waiter.next(Math.min(left, Math.max(due, LEAST_WAIT_MS)), gone);
      }
    });
  }

  private async attempt(input: ClaimInput): Promise<Representation<LeaseList> | undefined> {
    const { forbidden, leases, events } = await this.claims.run(input);
    if (forbidden === 'true') throw new Forbidden();
    if (leases === null) return undefined;
    const seq = Math.max(...toEvents(events).map((event) => event.seq));
    return new Representation(`{"data":${leases}}`, { cursor: formatCursor(this.epoch.current, seq) });
  }

  /** In how many ms. */
  private async nextDue({ workspace_id: workspaceId, types }: ClaimInput): Promise<number> {
    const [{ ms }] = await this.statements.run<{ ms: string | null }>(NEXT_DUE, [workspaceId, types]);
    return ms === null ? Infinity : Number(ms);
  }
}

const NONE = Representation.of<LeaseList>({ data: [] });
