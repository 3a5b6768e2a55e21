import { Injectable } from '@nestjs/common';
import { Representation } from '../common/representation.js';
import { BoundedReads, ReadTooSlowError } from '../database/bounded-reads.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { ReadReplica } from '../events/read-replica.js';
import type { Caller } from '../workspaces/requires.js';
import { ItemCursors, type ListPosition } from './item-cursors.js';
import { type ListedItemRow, toListedItem } from './item-list.answer.js';
import type { ItemList } from './item-list.dto.js';
import type { ItemListQuery } from './item-list.query.js';
import {
  type BuiltStatement,
  estimateStatement,
  isBackward,
  LISTED_WORKSPACE,
  listStatement,
  orderLength,
} from './item-list.sql.js';
import type { ListedWorkspace } from './item-search.sql.js';
import { ItemWorkspaceNotFound, ListTooSlow } from './items.errors.js';
import { LIST_ITEMS, LIST_ITEMS_BACKWARD } from './items.sql.js';
import { fitting } from './page-bytes.sql.js';

/** A row of a page: of an empty one, the stream's position alone. */
type PageRow = ListedItemRow & { id: string | null; head: string; total?: string | null };
type KeyedRow = Readonly<Record<string, string | null>>;

const MODE = { next: 'after', previous: 'before' } as const;
/** From an empty page, back to where it began: with the record of the cursor, if that is still there. */
const TURNED = { after: 'upto', from: 'before', before: 'from', upto: 'after' } as const;

/** Lists of items: the plain one as one prepared statement, every other one within a time limit. */
@Injectable()
export class ItemLists {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly reads: BoundedReads,
    private readonly cursors: ItemCursors,
    private readonly epoch: Epoch,
    private readonly replica: ReadReplica,
  ) {}

  /**
   * @throws {ItemWorkspaceNotFound}
   * @throws {import('../common/problem.js').ValidationFailed} for a cursor of another list
   * @throws {ListTooSlow}
   */
  async page(caller: Caller<'items:read'>, query: ItemListQuery): Promise<Representation<ItemList>> {
    const list = `${named(caller, query) ?? caller.id} ${query.identity}`;
    const position = query.cursor === undefined ? undefined : this.cursors.read(list, query.cursor);
    const { rows, total } = query.plain
      ? { rows: await this.plain(caller, query, position), total: undefined }
      : await this.bounded(caller, query, position);
    const [first] = rows;
    if (!first) throw new ItemWorkspaceNotFound();
    const found = foundIn(rows);
    const read = fitting(found, query.limit);
    const items = isBackward(position) ? read.toReversed() : read;
    const keys = query.plain ? 0 : orderLength(query);
    const cursors = this.neighbours(list, position, found.length > read.length, keys, items);
    const members = [
      `"data":[${items.map((item) => toListedItem(item, query)).join(',')}]`,
      `"nextCursor":${JSON.stringify(cursors.next)}`,
      `"prevCursor":${JSON.stringify(cursors.previous)}`,
      ...(total === undefined ? [] : [`"total":${total}`]),
    ];
    return new Representation(`{${members.join(',')}}`, {
      cursor: formatCursor(this.epoch.current, Number(first.head)),
      pages: cursors,
    });
  }

  private plain(
    caller: Caller,
    query: ItemListQuery,
    position: ListPosition | undefined,
  ): Promise<PageRow[]> {
    const statement = isBackward(position) ? LIST_ITEMS_BACKWARD : LIST_ITEMS;
    const inclusive = position?.mode === 'from' || position?.mode === 'upto';
    const values = [caller.id, named(caller, query), position?.keys[0] ?? null, query.limit + 1, inclusive];
    return this.statements.run<PageRow>(statement, values);
  }

  private async bounded(
    caller: Caller,
    query: ItemListQuery,
    position: ListPosition | undefined,
  ): Promise<{ rows: PageRow[]; total: number | undefined }> {
    const workspace = await this.workspaceOf(caller, query);
    const statement = listStatement(caller.id, workspace, query, position);
    const rows = (await this.readElsewhere(workspace, statement)) ?? (await this.read<PageRow>(statement));
    const [first] = rows;
    const total =
      query.count === 'estimated'
        ? await this.estimate(workspace, query, position, rows)
        : query.count && first
          ? Number(first.total)
          : undefined;
    return { rows, total };
  }

  /** The list's own statement finds out whether the caller may read it. @throws {ItemWorkspaceNotFound} */
  private async workspaceOf(caller: Caller, query: ItemListQuery): Promise<ListedWorkspace> {
    const id = named(caller, query);
    if (id !== null && query.search === undefined) return { id, languages: [] };
    const [found] = await this.statements.run<{ id: string; languages: string }>(LISTED_WORKSPACE, [
      caller.id,
      id,
    ]);
    if (!found) throw new ItemWorkspaceNotFound();
    return { id: found.id, languages: found.languages.split(',') };
  }

  private async estimate(
    workspace: ListedWorkspace,
    query: ItemListQuery,
    position: ListPosition | undefined,
    rows: readonly PageRow[],
  ): Promise<number> {
    const seen = foundIn(rows).length;
    // Everything is on this page, or at least was looked at for it.
    if (!position && seen <= query.limit) return seen;
    const [row] = await this.read<{ 'QUERY PLAN': string }>(estimateStatement(workspace, query));
    const [{ Plan: plan }] = JSON.parse(row['QUERY PLAN']) as [{ Plan: { 'Plan Rows': number } }];
    return Math.max(plan['Plan Rows'], seen);
  }

  /** By the replica, if it has everything that there is; whoever is no member there is asked for here. */
  private async readElsewhere(
    { id }: ListedWorkspace,
    { text, values }: BuiltStatement,
  ): Promise<PageRow[] | undefined> {
    try {
      const rows = await this.replica.read(id, (snapshot) => snapshot.run<PageRow>(text, values));
      return rows && rows.length > 0 ? rows : undefined;
    } catch (error) {
      if (error instanceof ReadTooSlowError) throw new ListTooSlow(error.limitMs, error);
      throw error;
    }
  }

  private async read<Row extends object>({ text, values }: BuiltStatement): Promise<Row[]> {
    try {
      return await this.reads.run<Row>(text, values);
    } catch (error) {
      if (error instanceof ReadTooSlowError) throw new ListTooSlow(error.limitMs, error);
      throw error;
    }
  }

  /** Where the pages beside this one begin; null where there is none. */
  private neighbours(
    list: string,
    position: ListPosition | undefined,
    more: boolean,
    keys: number,
    items: readonly PageRow[],
  ): { next: string | null; previous: string | null } {
    const backward = isBackward(position);
    const turned = () => position && this.cursors.write(list, { ...position, mode: TURNED[position.mode] });
    const beside = (item: PageRow | undefined, side: keyof typeof MODE) =>
      item ? this.cursors.write(list, { mode: MODE[side], keys: keysOf(item, keys) }) : (turned() ?? null);
    return {
      next: backward || more ? beside(items.at(-1), 'next') : null,
      previous: (backward ? more : position !== undefined) ? beside(items[0], 'previous') : null,
    };
  }
}

/** The workspace that is asked for; null: the caller's personal one. */
const named = ({ agent }: Caller, { workspaceId }: ItemListQuery): string | null =>
  workspaceId ?? agent?.workspaceId ?? null;

const foundIn = (rows: readonly PageRow[]): PageRow[] => rows.filter(({ id }) => id !== null);

/** The sort keys of a row; the plain list is sorted by the id alone. */
function keysOf(item: PageRow, count: number): string[] {
  if (count === 0) return [item.id ?? ''];
  return Array.from({ length: count }, (_, n) => (item as unknown as KeyedRow)[`k${n}`] ?? '');
}
