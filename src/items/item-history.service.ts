import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { JsonObject, JsonValue } from '../common/json.js';
import { diffJson } from '../common/json-diff.js';
import { DEFAULT_LIMIT, type PageQuery } from '../common/pagination.js';
import { Unavailable } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { rfc3339 } from '../common/rfc3339.js';
import { BoundedReads, ReadTooSlowError } from '../database/bounded-reads.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { EventArchives } from '../events/event-archives.js';
import type { Caller } from '../workspaces/requires.js';
import { ItemCursors } from './item-cursors.js';
import { type ItemHistoryList, MAX_VERSION } from './item-history.dto.js';
import { ARCHIVE_VERSIONS, READ_HISTORY, READ_VERSION } from './item-history.sql.js';
import { type ItemResponse, type ItemRow, type ReplaceItemContent, toItemResponse } from './items.dto.js';
import { ItemNotFound, ItemVersionNotFound } from './items.errors.js';
import { itemRoom } from './items.events.js';

/** What the versions of one page may hold together; the first two in any case. */
const PAGE_BYTES = 1_048_576;
const NEWEST = ['9223372036854775807', String(MAX_VERSION)];

interface VersionRow {
  readonly seq: string;
  readonly type: string;
  readonly principal_id: string;
  readonly time: string;
  readonly snapshot: string;
  /** How many the page would have without the byte bound. */
  readonly candidates: string;
}

/** Of a page without any version, the stream's position alone. */
type PageRow = (VersionRow | { readonly seq: null }) & { readonly head: string };

interface Version extends VersionRow {
  readonly version: number;
  /** What of it can be written. */
  readonly content: JsonObject;
}

/** What has become of items: read from their events, and from what is archived of those. */
@Injectable()
export class ItemHistory implements OnModuleInit {
  constructor(
    private readonly reads: BoundedReads,
    private readonly statements: PipelinedStatements,
    private readonly cursors: ItemCursors,
    private readonly epoch: Epoch,
    private readonly archives: EventArchives,
  ) {}

  onModuleInit(): void {
    this.archives.add(ARCHIVE_VERSIONS);
  }

  /**
   * The versions of an item, newest first, also of one in the trash.
   * @throws {ItemNotFound}
   * @throws {import('../common/problem.js').ValidationFailed} for a cursor of another list
   */
  async page(
    caller: Caller<'items:read'>,
    id: string,
    { cursor, limit = DEFAULT_LIMIT }: PageQuery,
  ): Promise<Representation<ItemHistoryList>> {
    const list = `history ${id}`;
    const before = cursor === undefined ? NEWEST : this.cursors.read(list, cursor).keys;
    const rows = await this.read([id, caller.id, itemRoom(id), ...before, limit + 1, PAGE_BYTES]);
    if (rows.length === 0) throw new ItemNotFound();
    const found = rows.filter((row) => row.seq !== null).map(toVersion);
    const isOldest = found.length <= limit && Number(found.at(-1)?.candidates ?? 0) === found.length;
    // The last one is there to be compared with, unless nothing is before it.
    const shown = isOldest ? found : found.slice(0, -1);
    const last = shown.at(-1);
    const next =
      isOldest || !last
        ? null
        : this.cursors.write(list, { mode: 'after', keys: [last.seq, String(last.version)] });
    const data = shown.map((version, n) => toHistoryEntry(version, found.at(n + 1)));
    return new Representation(`{"data":[${data.join(',')}],"nextCursor":${JSON.stringify(next)}}`, {
      cursor: formatCursor(this.epoch.current, Number(rows[0].head)),
    });
  }

  /**
   * An item as it was after one of its changes.
   * @throws {ItemNotFound}
   * @throws {ItemVersionNotFound}
   */
  async version(
    caller: Caller<'items:read'>,
    id: string,
    version: number,
  ): Promise<Representation<ItemResponse>> {
    const { head, ...row } = await this.readVersion(caller, id, version);
    return new Representation(toItemResponse(row), {
      version,
      cursor: formatCursor(this.epoch.current, Number(head)),
    });
  }

  /**
   * The writable part of {@link version}, for whoever may write: nobody else learns more by asking for it.
   * @throws as {@link version}
   */
  async content(caller: Caller<'items:write'>, id: string, version: number): Promise<ReplaceItemContent> {
    const { title, type, data } = await this.readVersion(caller, id, version);
    return { title, type, data: JSON.parse(data) as JsonObject };
  }

  private async readVersion(
    caller: Caller,
    id: string,
    version: number,
  ): Promise<ItemRow & { head: string }> {
    const values = [id, caller.id, itemRoom(id), version];
    const [row] = await this.statements.run<(ItemRow | { id: null }) & { head: string }>(
      READ_VERSION,
      values,
    );
    if (!row) throw new ItemNotFound();
    if (row.id === null) throw new ItemVersionNotFound();
    return row;
  }

  private async read(values: readonly (string | number)[]): Promise<PageRow[]> {
    try {
      return await this.reads.run<PageRow>(READ_HISTORY, values);
    } catch (error) {
      if (!(error instanceof ReadTooSlowError)) throw error;
      throw new Unavailable(`The history could not be read within ${error.limitMs} ms. Try again.`, error);
    }
  }
}

function toVersion(row: VersionRow): Version {
  const { version, title, type, data } = JSON.parse(row.snapshot) as JsonObject & { version: number };
  return { ...row, version, content: { title, type, data } };
}

function toHistoryEntry({ version, type, time, principal_id, content }: Version, before?: Version): string {
  const base: JsonValue | undefined =
    version === 1 ? {} : before?.version === version - 1 ? before.content : undefined;
  return JSON.stringify({
    version,
    type: type.slice(type.indexOf('.') + 1),
    at: rfc3339(time),
    by: principal_id,
    changes: base === undefined ? null : diffJson(base, content),
  });
}
