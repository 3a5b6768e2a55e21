import { Injectable } from '@nestjs/common';
import { decodePageCursor, DEFAULT_LIMIT, encodePageCursor } from '../common/pagination.js';
import { Forbidden } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { PipelinedStatements, type StatementValue } from '../database/pipelined-statements.js';
import { queryAsText } from '../database/text-rows.js';
import { Transactions } from '../database/transactions.js';
import { Announcements } from '../events/announcements.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import type { Caller } from '../workspaces/requires.js';
import { WorkspaceNotFound } from '../workspaces/workspaces.errors.js';
import { LIST_DEAD, RETRY_DEAD } from './lease-work.sql.js';
import type { DeadList, ListDeadQuery, RetriedItems, RetryRequest } from './leases.dto.js';
import { eventsOf } from './leases.events.js';

interface DeadRow {
  head: string;
  item_id: string | null;
  work: string;
  dead_at: string;
}

interface RetriedRow {
  may: string;
  items: string;
  events: string | null;
}

/** The items on which the work was given up. */
@Injectable()
export class DeadItems {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly announcements: Announcements,
    private readonly epoch: Epoch,
    private readonly transactions: Transactions,
    private readonly kept: KeptAnswers,
  ) {}

  /** @throws {WorkspaceNotFound} */
  async page(caller: Caller<'items:read'>, query: ListDeadQuery): Promise<Representation<DeadList>> {
    const { workspaceId, type, cursor, limit = DEFAULT_LIMIT } = query;
    const rows = await this.statements.run<DeadRow>(LIST_DEAD, [
      caller.id,
      workspaceId ?? caller.agent?.workspaceId ?? null,
      decodePageCursor(cursor),
      limit + 1,
      type ?? null,
    ]);
    const [first] = rows;
    if (!first) throw new WorkspaceNotFound();
    const found = first.item_id === null ? [] : rows;
    const page = found.slice(0, limit);
    const last = page.at(-1)?.item_id;
    const next = found.length > limit && last ? encodePageCursor(last) : null;
    const data = page.map((row) => `${row.work.slice(0, -1)},"deadAt":"${row.dead_at}"}`);
    return new Representation(`{"data":[${data.join(',')}],"nextCursor":${JSON.stringify(next)}}`, {
      cursor: formatCursor(this.epoch.current, Number(first.head)),
    });
  }

  /**
   * Has some of them tried again from the beginning; those that are not dead are left alone.
   * @throws {WorkspaceNotFound} @throws {Forbidden}
   */
  async retry(
    caller: Caller<'items:write'>,
    { items, workspaceId }: RetryRequest,
  ): Promise<Representation<RetriedItems>> {
    const values = [caller.id, items, workspaceId ?? null];
    const row = caller.claim
      ? await this.retryAndKeep(caller, values)
      : (await this.statements.run<RetriedRow>(RETRY_DEAD, values))[0];
    const answer = retried(row);
    this.announcements.announce(eventsOf(row ? [row] : []));
    return answer;
  }

  /** In a transaction of its own, with the answer for a repeat of the request. */
  private retryAndKeep(
    caller: Caller<'items:write'>,
    values: readonly StatementValue[],
  ): Promise<RetriedRow | undefined> {
    return this.transactions.run(async (manager) => {
      const [row] = await queryAsText<RetriedRow>(manager, RETRY_DEAD.text, values);
      await this.kept.keep(manager, caller, retried(row), 200);
      return row;
    });
  }
}

/** @throws {WorkspaceNotFound} @throws {Forbidden} */
function retried(row: RetriedRow | undefined): Representation<RetriedItems> {
  if (!row) throw new WorkspaceNotFound();
  if (row.may === 'false') throw new Forbidden();
  return new Representation(`{"items":${row.items}}`);
}
