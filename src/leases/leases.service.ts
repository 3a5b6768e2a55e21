import { Injectable } from '@nestjs/common';
import type { AgentClaims, Principal } from '../common/access.js';
import { newId } from '../common/identifiers.js';
import { Forbidden, PreconditionRequired } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { TypeNotWritable, writableTypes } from '../common/scopes.js';
import { assign, validated } from '../common/validation.pipe.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Transactions } from '../database/transactions.js';
import { Announcements } from '../events/announcements.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { WriteCombiner } from '../events/write-combiner.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import { UpdateItemRequest } from '../items/items.dto.js';
import { LeaseLost } from '../items/items.errors.js';
import {
  CANCEL_LEASES,
  type CancelInput,
  END_LEASES,
  EXTEND_LEASES,
  type ExtendInput,
} from './lease-changes.sql.js';
import type { EndInput, EndRow } from './lease-ends.sql.js';
import type { CancelRequest, EndedLease, ExtendedLease, FailRequest } from './leases.dto.js';
import { AgentsOnly, LeaseNotFound } from './leases.errors.js';
import { eventsOf } from './leases.events.js';

interface ExtendRow {
  n: string;
  expires_at: string | null;
}

/** What becomes of leases. Each change is one statement that finds the lease as it is, or changes nothing. */
@Injectable()
export class LeasesService {
  private readonly extensions: WriteCombiner<ExtendInput, ExtendRow>;
  private readonly ends: WriteCombiner<EndInput, EndRow>;
  private readonly cancellations: WriteCombiner<CancelInput, EndRow>;

  constructor(
    statements: PipelinedStatements,
    announcements: Announcements,
    private readonly epoch: Epoch,
    private readonly transactions: Transactions,
    private readonly kept: KeptAnswers,
  ) {
    this.extensions = new WriteCombiner(statements, EXTEND_LEASES, () => undefined);
    const announce = (rows: readonly EndRow[]): void => announcements.announce(eventsOf(rows));
    this.ends = new WriteCombiner(statements, END_LEASES, announce);
    this.cancellations = new WriteCombiner(statements, CANCEL_LEASES, announce);
  }

  /** @throws {LeaseLost} if the caller does not hold it any more */
  async extend(caller: Principal, id: string, ttl: number): Promise<Representation<ExtendedLease>> {
    const { workspaceId } = agentOf(caller);
    const represent = ({ expires_at: expiresAt }: ExtendRow): Representation<ExtendedLease> => {
      if (expiresAt === null) throw new LeaseLost();
      return Representation.of({ id, expiresAt });
    };
    const input = { id, workspace_id: workspaceId, principal_id: caller.id, ttl };
    return this.post(caller, this.extensions, input, represent);
  }

  /**
   * The work is done, and the item changed with that if there is a patch.
   * @throws {LeaseLost} if the caller does not hold it any more; nothing was changed
   * @throws {TypeNotWritable} @throws {PreconditionRequired} if there is a patch, and the workspace demands `If-Match`
   */
  async complete(
    caller: Principal,
    id: string,
    patch: object | undefined,
  ): Promise<Representation<EndedLease>> {
    const input = ending(caller, id, 'completed');
    const change = patch && validated(assign(UpdateItemRequest, patch, PATCH), PATCH);
    return this.end(caller, this.ends, {
      ...input,
      ...(change && {
        item_event_id: newId(),
        type: change.type,
        title: change.title,
        data: change.data,
        writable: writableTypes(caller),
      }),
    });
  }

  /** The work has failed: it is tried again later, or dead. @throws {LeaseLost} */
  async fail(
    caller: Principal,
    id: string,
    { reason = 'failed', retry = true }: FailRequest,
  ): Promise<Representation<EndedLease>> {
    return this.end(caller, this.ends, { ...ending(caller, id, 'failed'), reason, retry });
  }

  /** Gives the item back, for anybody to claim at once. It does not count as an attempt. @throws {LeaseLost} */
  async release(caller: Principal, id: string): Promise<Representation<EndedLease>> {
    return this.end(caller, this.ends, ending(caller, id, 'released'));
  }

  /**
   * Takes a lease from its holder, who is told at once; the item is dead then.
   * @throws {LeaseNotFound} @throws {Forbidden} for a viewer
   */
  async cancel(
    caller: Principal,
    id: string,
    { reason = 'cancelled' }: CancelRequest,
  ): Promise<Representation<EndedLease>> {
    try {
      return await this.end(caller, this.cancellations, { ...said(caller, id), reason });
    } catch (error) {
      throw error instanceof LeaseLost ? new LeaseNotFound() : error;
    }
  }

  private end<Input extends object>(
    caller: Principal,
    writes: WriteCombiner<Input, EndRow>,
    input: Input,
  ): Promise<Representation<EndedLease>> {
    return this.post(caller, writes, input, (row) => this.ended(row));
  }

  /** For a request that may have come under an `Idempotency-Key`: then by itself, with its answer. */
  private async post<Input extends object, Row extends { n: string }, Answer>(
    caller: Principal,
    writes: WriteCombiner<Input, Row>,
    input: Input,
    represent: (row: Row) => Representation<Answer>,
  ): Promise<Representation<Answer>> {
    if (!caller.claim) return represent(await writes.run(input));
    const row = await writes.runAlone(this.transactions, input, (manager, written) =>
      this.kept.keep(manager, caller, represent(written), 200),
    );
    return represent(row);
  }

  private ended(row: EndRow): Representation<EndedLease> {
    if (row.work === null) {
      if (row.allowed === null) throw new LeaseLost();
      if (row.allowed === 'false') throw new Forbidden();
      if (row.writable === 'false') throw new TypeNotWritable();
      throw new PreconditionRequired();
    }
    const seq = Math.max(...eventsOf([row]).map((event) => event.seq));
    const item = row.item === null ? '' : `,"item":${row.item}`;
    return new Representation(`${row.work.slice(0, -1)}${item}}`, {
      cursor: formatCursor(this.epoch.current, seq),
    });
  }
}

/** Where the patch of a completion stands in its body. */
const PATCH = '/patch';

const said = (caller: Principal, id: string): { id: string; principal_id: string; event_id: string } => ({
  id,
  principal_id: caller.id,
  event_id: newId(),
});

/** @throws {AgentsOnly} for people */
const ending = (caller: Principal, id: string, outcome: EndInput['outcome']): EndInput => ({
  ...said(caller, id),
  workspace_id: agentOf(caller).workspaceId,
  outcome,
});

/** @throws {AgentsOnly} for people */
function agentOf({ agent }: Principal): AgentClaims {
  if (!agent) throw new AgentsOnly();
  return agent;
}
