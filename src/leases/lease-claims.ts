import { Injectable } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import { Forbidden } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { writableTypes } from '../common/scopes.js';
import { AtriumConfig } from '../config/config.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Transactions } from '../database/transactions.js';
import { Announcements } from '../events/announcements.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import type { StreamEvent } from '../events/stream-event.js';
import { WriteCombiner } from '../events/write-combiner.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import { SessionRevocations } from '../sessions/session-revocations.js';
import { SessionRevoked } from '../sessions/sessions.errors.js';
import { CLAIM_LEASES, NEXT_DUE } from './lease-claim.sql.js';
import type { ClaimRow } from './claim-rows.js';
import type { ClaimInput } from './lease-search.sql.js';
import { LeaseTypes } from './lease-types.js';
import { type LeaseWaiter, LeaseWaiters } from './lease-waiters.js';
import type { ClaimRequest, LeaseList, WorkFilter } from './leases.dto.js';
import { AgentsOnly } from './leases.errors.js';
import { eventsOf } from './leases.events.js';

/** What an agent works on. */
export interface WorkWish {
  /** Of items; all that there are, or that its scopes limit it to, when left out. */
  readonly types?: readonly string[];
  readonly filter?: WorkFilter;
  /** How long a lease lasts, in seconds; 60 when left out. */
  readonly ttlSeconds?: number;
}

/** Leases that were claimed. */
export interface Claimed {
  /** {@link import('./leases.dto.js').LeaseResponse} each, as a JSON list. */
  readonly leases: string;
  /** What the stream tells of them, `lease.claimed` among it; at least one. */
  readonly events: readonly StreamEvent[];
}

interface NextDueRow {
  ms: string | null;
  /** A boolean. */
  limited: string;
}

/** The least time between two looks at what is due by the clock, in ms. */
const LEAST_WAIT_MS = 25;
/** Of what items may say. */
const PRIORITY = { least: -1_000, most: 1_000 };

/** Gives items to agents: each to one at a time. */
@Injectable()
export class LeaseClaims {
  private readonly claims: WriteCombiner<ClaimInput, ClaimRow>;
  private readonly heldMost: number;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly transactions: Transactions,
    private readonly types: LeaseTypes,
    private readonly waiters: LeaseWaiters,
    private readonly kept: KeptAnswers,
    private readonly revocations: SessionRevocations,
    private readonly epoch: Epoch,
    announcements: Announcements,
    config: AtriumConfig,
  ) {
    this.heldMost = config.leases.perAgent;
    this.claims = new WriteCombiner(statements, CLAIM_LEASES, (rows) =>
      announcements.announce(eventsOf(rows)),
    );
  }

  /**
   * Claims items that are due, the most urgent first; of those equally urgent, what has been due for longest. Waits for
   * the first one if the caller wants to, until something happens in the workspace or another one is due by the clock.
   * @param gone aborted when the caller does not listen any more: then nothing more is claimed
   * @throws {AgentsOnly} for people
   * @throws {Forbidden} for an agent that is disabled
   * @throws {SessionRevoked} if its session ends while it waits
   * @throws {import('./leases.errors.js').TooManyLeaseTypes}
   */
  async claim(
    caller: Principal,
    { limit = 1, waitSeconds = 0, ...wish }: ClaimRequest,
    gone: AbortSignal,
  ): Promise<Representation<LeaseList>> {
    const workspaceId = await this.begin(caller, wish);
    const attempt = async (): Promise<Representation<LeaseList> | undefined> => {
      const input = await this.inputOf(caller, wish, limit, true);
      if (caller.claim) return this.claimAndKeep(caller, input);
      const claimed = await this.run(input);
      return claimed && this.answer(claimed);
    };
    const first = await attempt();
    if (first || waitSeconds === 0) return first ?? NONE;
    const deadline = performance.now() + waitSeconds * 1_000;
    return this.waiters.during(caller, workspaceId, this.typesOf(caller, wish), async (waiter) => {
      for (;;) {
        // The token was good when the wait began, and must be when it is over.
        if (this.revocations.hasEnded(caller)) throw new SessionRevoked();
        // What was committed before anybody listened is found here.
        const found = gone.aborted ? NONE : await attempt();
        const left = deadline - performance.now();
        if (found || left <= 0 || this.waiters.closing) return found ?? NONE;
        await waiter.next(Math.min(left, await this.nextDue(caller, wish, waiter)), gone);
      }
    });
  }

  /**
   * To be called before the first {@link push}.
   * @returns the workspace that the agent works in
   * @throws as {@link claim}
   */
  async begin(caller: Principal, wish: WorkWish): Promise<string> {
    const { agent } = caller;
    if (!agent) throw new AgentsOnly();
    const types = this.typesOf(caller, wish);
    if (types) await this.types.ensure(agent.workspaceId, types);
    return agent.workspaceId;
  }

  /**
   * Claims what is due now, to be sent to a socket: until it is known to have arrived, heartbeats extend it only by name.
   * @throws as {@link claim}
   */
  async push(caller: Principal, wish: WorkWish, most: number): Promise<Claimed | undefined> {
    return this.run(await this.inputOf(caller, wish, most, false));
  }

  /** In how many ms the waiter is to look again after a claim that found nothing, if nothing happens before. */
  async nextDue(caller: Principal, wish: WorkWish, waiter: LeaseWaiter): Promise<number> {
    const input = await this.inputOf(caller, wish, 1, true);
    const [{ ms, limited }] = await this.statements.run<NextDueRow>(NEXT_DUE, [JSON.stringify(input)]);
    waiter.isLimited = limited === 'true';
    return ms === null ? Infinity : Math.max(Number(ms), LEAST_WAIT_MS);
  }

  /** What is named; else what the agent's scopes limit it to; `undefined`: all types that there are. */
  typesOf(caller: Principal, { types }: WorkWish): readonly string[] | undefined {
    const writable = types ?? writableTypes(caller);
    return writable?.length === 0 ? undefined : writable;
  }

  private async inputOf(
    caller: Principal,
    wish: WorkWish,
    most: number,
    delivered: boolean,
  ): Promise<ClaimInput> {
    const { filter: { labels = {}, priority, notBefore } = {}, ttlSeconds = 60 } = wish;
    const workspaceId = caller.agent?.workspaceId ?? '';
    const types = this.typesOf(caller, wish) ?? (await this.types.all(workspaceId));
    return {
      agent_id: caller.id,
      workspace_id: workspaceId,
      types: types.toSorted(),
      labels,
      priority_from: priority?.gte ?? PRIORITY.least,
      priority_to: priority?.lte ?? PRIORITY.most,
      due_from: timeOf(notBefore?.gte) ?? '-infinity',
      due_to: timeOf(notBefore?.lte) ?? 'infinity',
      delivered,
      ttl: ttlSeconds,
      most,
      held_most: this.heldMost,
      limited: types.some((type) => this.types.isLimited(workspaceId, type)),
    };
  }

  private async run(input: ClaimInput): Promise<Claimed | undefined> {
    return claimedBy(await this.claims.run(input));
  }

  /** In a transaction of its own, with the answer for a repeat of the request. */
  private async claimAndKeep(
    caller: Principal,
    input: ClaimInput,
  ): Promise<Representation<LeaseList> | undefined> {
    const claimed = claimedBy(
      await this.claims.runAlone(this.transactions, input, async (manager, row) => {
        const done = claimedBy(row);
        if (done) await this.kept.keep(manager, caller, this.answer(done), 200);
      }),
    );
    return claimed && this.answer(claimed);
  }

  private answer({ leases, events }: Claimed): Representation<LeaseList> {
    const seq = Math.max(...events.map((event) => event.seq));
    return new Representation(`{"data":${leases}}`, { cursor: formatCursor(this.epoch.current, seq) });
  }
}

const NONE = Representation.of<LeaseList>({ data: [] });

/** As PostgreSQL takes it: JavaScript knows a 30th of February. */
const timeOf = (text: string | undefined): string | undefined => text && new Date(text).toISOString();

/** @throws {Forbidden} */
function claimedBy(row: ClaimRow): Claimed | undefined {
  if (row.forbidden) throw new Forbidden();
  return row.leases.length === 0 ? undefined : { leases: `[${row.leases.join()}]`, events: row.events };
}
