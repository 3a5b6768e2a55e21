import { Injectable } from '@nestjs/common';
import { AuditTrail } from '../audit/audit-trail.js';
import type { ClientInfo } from '../common/client-info.js';
import { Streamed } from '../common/streamed.js';
import { ReadTooSlowError } from '../database/bounded-reads.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { type Snapshot, SnapshotReads } from '../database/snapshot-reads.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { ReadReplica } from '../events/read-replica.js';
import type { Caller } from '../workspaces/requires.js';
import { CSV_COLUMNS, csvHeader, toCsv } from './item-csv.js';
import type { ItemExportQuery, ItemFormat } from './item-export.query.js';
import { EXPORTED_WORKSPACE, exportStatement } from './item-export.sql.js';
import { toListedItem } from './item-list.answer.js';
import type { ItemField, ItemListQuery } from './item-list.query.js';
import { ItemExportReaders } from './item-export-readers.js';
import { LISTED_WORKSPACE } from './item-list.sql.js';
import type { ItemResponse, ItemRow } from './items.dto.js';
import { ItemWorkspaceNotFound, ListTooSlow, TooManyExports } from './items.errors.js';

/** Exports of one principal that an instance makes at once. */
const PER_PRINCIPAL = 2;
/** How many items one piece holds at most, and about how many characters. */
const PIECE = { items: 100, characters: 1_000_000 };
/** While an export runs, the database keeps what is deleted meanwhile. */
const LIMIT_MS = 15 * 60_000;
/** How long a reader may take nothing. */
const STALL_MS = 25_000;
const CONTENT_TYPES = { ndjson: 'application/x-ndjson', csv: 'text/csv; charset=utf-8; header=present' };

/** An export that goes no further: the connection is cut, since the answer has begun. */
class ExportCut extends Error {}

interface Piece {
  readonly rows: readonly ItemRow[];
  readonly text: string;
}

/** Whole lists of items, as the workspace was at one moment, sent no faster than they are read. */
@Injectable()
export class ItemExports {
  private readonly running = new Map<string, number>();

  constructor(
    private readonly reads: SnapshotReads,
    private readonly statements: PipelinedStatements,
    private readonly epoch: Epoch,
    private readonly audit: AuditTrail,
    private readonly replica: ReadReplica,
    private readonly readers: ItemExportReaders,
  ) {}

  /**
   * Begins an export; the audit trail keeps who did. Whose session or membership ends meanwhile is cut off within a
   * second, and gets no further piece from then on.
   * @throws {ItemWorkspaceNotFound}
   * @throws {ListTooSlow} it took too long to find its first items
   * @throws {TooManyExports}
   */
  async start(
    caller: Caller<'items:read'>,
    query: ItemExportQuery,
    client: ClientInfo,
  ): Promise<Streamed<ItemResponse>> {
    const release = this.take(caller.id);
    const ending = new AbortController();
    const cut = (): void => ending.abort(new ExportCut());
    const stall = setTimeout(cut, STALL_MS).unref();
    let snapshot: Snapshot | undefined;
    let leave: (() => void) | undefined;
    const end = async (): Promise<void> => {
      clearTimeout(stall);
      leave?.();
      release();
      await snapshot?.close();
    };
    try {
      const { format, list } = query;
      const asked = [caller.id, list.workspaceId ?? caller.agent?.workspaceId ?? null];
      snapshot = (await this.beginElsewhere(asked)) ?? (await this.reads.begin());
      const [found] = await snapshot.run<{ id: string; languages: string; head: string }>(
        EXPORTED_WORKSPACE,
        asked,
      );
      if (!found) throw new ItemWorkspaceNotFound();
      leave = await this.readers.add(caller, found.id, cut);
      const workspace = { id: found.id, languages: found.languages.split(',') };
      const fields = CSV_COLUMNS.filter((field) => list.fields?.has(field) ?? true);
      const { text, values } = exportStatement(caller.id, workspace, list, fields);
      await snapshot.query(text, values);
      const first = await nextPiece(snapshot, query, fields, 10);
      const entry = { client, workspaceId: found.id, principalId: caller.id, detail: { format } };
      await this.audit.record({ action: 'items.exported', ...entry });
      const pieces = this.pieces(caller, found.id, snapshot, query, fields, first, stall);
      const cursor = formatCursor(this.epoch.current, Number(found.head));
      return new Streamed(pieces, { ...as(format), cursor }, end, ending.signal);
    } catch (error) {
      await end();
      if (error instanceof ReadTooSlowError) throw new ListTooSlow(error.limitMs, error);
      throw error;
    }
  }

  /** A snapshot of the replica, if it has everything that there is. */
  private async beginElsewhere(asked: readonly (string | null)[]): Promise<Snapshot | undefined> {
    if (!this.replica.isThere) return undefined;
    const [found] = await this.statements.run<{ id: string }>(LISTED_WORKSPACE, asked);
    if (!found) throw new ItemWorkspaceNotFound();
    return this.replica.begin(found.id);
  }

  private async *pieces(
    caller: Caller,
    workspaceId: string,
    snapshot: Snapshot,
    query: ItemExportQuery,
    fields: readonly ItemField[],
    first: Piece,
    stall: NodeJS.Timeout,
  ): AsyncGenerator<string> {
    const limit = performance.now() + LIMIT_MS;
    if (query.format === 'csv') yield csvHeader(fields);
    for (let piece = first; piece.rows.length > 0;) {
      yield piece.text;
      stall.refresh();
      // Outside of the snapshot, in which nobody loses a right.
      if (performance.now() > limit || !(await this.readers.mayRead(caller, workspaceId)))
        throw new ExportCut();
      piece = await nextPiece(snapshot, query, fields, sizeAfter(piece));
    }
  }

  /** @returns what gives the place back */
  private take(principalId: string): () => void {
    const count = this.running.get(principalId) ?? 0;
    if (count >= PER_PRINCIPAL) throw new TooManyExports(PER_PRINCIPAL);
    this.running.set(principalId, count + 1);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      const left = (this.running.get(principalId) ?? 1) - 1;
      if (left > 0) this.running.set(principalId, left);
      else this.running.delete(principalId);
    };
  }
}

const as = (format: ItemFormat) => ({
  contentType: CONTENT_TYPES[format],
  fileName: `items.${format}`,
});

async function nextPiece(
  snapshot: Snapshot,
  { format, list }: ItemExportQuery,
  fields: readonly ItemField[],
  count: number,
): Promise<Piece> {
  const rows = await snapshot.next<ItemRow>(count);
  return { rows, text: format === 'csv' ? toCsv(rows, fields) : toNdjson(rows, list) };
}

/** Places of a search are for people who read pages. */
const toNdjson = (rows: readonly ItemRow[], list: ItemListQuery): string =>
  rows.map((row) => `${toListedItem(row, { ...list, search: undefined })}\n`).join('');

/** As many as fit into a piece if they are as large as those before, and at most twice as many as those. */
function sizeAfter({ rows, text }: Piece): number {
  const fitting = Math.floor((PIECE.characters * rows.length) / Math.max(text.length, 1));
  return Math.max(1, Math.min(fitting, 2 * rows.length, PIECE.items));
}
