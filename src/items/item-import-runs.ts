import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { newId } from '../common/identifiers.js';
import { typesWritableBy } from '../common/scopes.js';
import type { InputError } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';
import { AppendingTransactions } from '../events/appending-transactions.js';
import type { NewEvent } from '../events/event-appends.js';
import type { JobOutcome } from '../jobs/job.js';
import { Jobs } from '../jobs/jobs.js';
import { INSERT_BATCH } from './item-batch.sql.js';
import { type ImportRow } from './item-import.dto.js';
import { importEvent } from './item-import.events.js';
import { type RecordBatch, RecordReader } from './item-import-records.js';
import {
  HeaderRefused,
  type ImportedRow,
  readCsvHeader,
  readCsvRow,
  readJsonRow,
} from './item-import-rows.js';
import {
  ADVANCE,
  CHUNK_AT,
  END,
  FORGET_CHUNKS,
  LOCK_WORKSPACE,
  MAX_REFUSALS,
  MAY_IMPORT,
  READ_TO_RUN,
  REFUSE,
} from './item-import.sql.js';
import { type ItemRow, toItemResponse } from './items.dto.js';
import { ITEM_CREATED, itemRoom } from './items.events.js';

export const IMPORT_JOB = 'items.import';

/** What one transaction does. */
const BATCH = { records: 500, bytes: 1_048_576 };
/** What one run does until others have their turn. */
const SLICE_MS = 20_000;
/** Data that PostgreSQL cannot keep (class 22), its own limits (class 54) and ours (a check): of one record, not of all. */
const UNSTORABLE = /^(22|54|23514)/;

/** Whoever began the import may not write items there any more. */
class NotAllowedAnyMore extends Error {}
/** Somebody else has done the batch, or the import has ended. */
class Overtaken extends Error {}

type AdvancedRow = ImportRow & { readonly told: boolean };

/**
 * Does imports, batch by batch. A batch is one transaction: its items, their events, the refused lines, and how far the
 * import is then. So whoever takes over goes on exactly behind the last line that was committed.
 */
@Injectable()
export class ItemImportRuns {
  private readonly limitBytes: number;

  constructor(
    private readonly dataSource: DataSource,
    private readonly appending: AppendingTransactions,
    config: AtriumConfig,
    jobs: Jobs,
  ) {
    this.limitBytes = config.http.bodyLimitBytes;
    jobs.handle<{ importId: string }>(
      IMPORT_JOB,
      { single: true, retries: 10, onGivenUp: ({ importId }) => this.end(importId, 'failed', 'internal') },
      ({ data, signal }) => this.run(data.importId, signal),
    );
  }

  /**
   * Ends an import that has not ended, and forgets what was uploaded. What was created stays.
   * @param failure a code
   */
  async end(importId: string, state: 'failed' | 'cancelled', failure: string | null): Promise<void> {
    await this.appending.run(async (manager) => {
      const [rows] = await manager.query<[ImportRow[], number]>(END, [importId, state, failure]);
      await manager.query(FORGET_CHUNKS, [importId, Number.MAX_SAFE_INTEGER]);
      return { answer: undefined, events: rows.map(importEvent) };
    });
  }

  private async run(importId: string, signal: AbortSignal): Promise<JobOutcome> {
    const until = performance.now() + SLICE_MS;
    const [row] = await this.dataSource.query<ImportRow[]>(READ_TO_RUN, [importId]);
    if (row?.state !== 'queued' && row?.state !== 'running') return 'done';
    try {
      let current = row;
      let reader = this.reader(current);
      let single = 0;
      while (!signal.aborted && performance.now() < until) {
        const batch = await reader.next(single > 0 ? 1 : BATCH.records, BATCH.bytes);
        try {
          current = await this.commit(current, batch, false);
          if (single > 0) single--;
        } catch (error) {
          if (!isUnstorable(error)) throw error;
          // One of them: each by itself, and it is refused.
          if (batch.records.length === 1) current = await this.commit(current, batch, true);
          else {
            single = batch.records.length;
            reader = this.reader(current);
          }
        }
        if (current.finished_at !== null) return 'done';
      }
      return 'again';
    } catch (error) {
      if (error instanceof Overtaken) return 'again';
      if (error instanceof NotAllowedAnyMore) await this.end(importId, 'failed', 'forbidden');
      else if (error instanceof HeaderRefused) await this.end(importId, 'failed', error.message);
      else throw error;
      return 'done';
    }
  }

  private reader(row: ImportRow): RecordReader {
    const read = async (from: number): Promise<Buffer | undefined> => {
      const [chunk] = await this.dataSource.query<{ start: string; bytes: Buffer }[]>(CHUNK_AT, [
        row.id,
        from,
      ]);
      const rest = chunk?.bytes.subarray(from - Number(chunk.start));
      return rest && rest.length > 0 ? rest : undefined;
    };
    return new RecordReader(row.format, Number(row.read_bytes), row.read_lines, this.limitBytes, read);
  }

  private rows(
    before: ImportRow,
    { records }: RecordBatch,
  ): { columns: string[] | null; rows: ImportedRow[] } {
    if (before.format === 'ndjson')
      return { columns: null, rows: records.map((record) => readJsonRow(record, this.limitBytes)) };
    const [first] = records;
    if (!first) return { columns: before.columns, rows: [] };
    const columns = before.columns ?? readCsvHeader(first);
    const rest = before.columns ? records : records.slice(1);
    return { columns, rows: rest.map((record) => readCsvRow(record, columns, this.limitBytes)) };
  }

  /** @param refuse the one record, which cannot be kept */
  private async commit(before: ImportRow, batch: RecordBatch, refuse: boolean): Promise<ImportRow> {
    const { columns, rows } = this.rows(before, batch);
    const { answer } = await this.appending.run(async (manager) => {
      const { now, writable } = await this.authorise(manager, before);
      const judged = rows.map((row) => (refuse ? refused(row, CANNOT_BE_KEPT) : ofWritable(row, writable)));
      const items = judged.flatMap((row) => ('item' in row ? [row.item] : []));
      const refusals = judged.flatMap((row) => ('errors' in row ? [row] : []));
      const [[after]] = await manager.query<[AdvancedRow[], number]>(ADVANCE, [
        ...[before.id, before.read_bytes, batch.endBytes, batch.endLines, columns && JSON.stringify(columns)],
        ...[rows.length, before.dry_run ? 0 : items.length, refusals.length, batch.last],
      ]);
      if (!after) throw new Overtaken();
      const kept = refusals.slice(0, Math.max(0, MAX_REFUSALS - before.refused));
      if (kept.length > 0) await manager.query(REFUSE, [before.id, JSON.stringify(kept)]);
      await manager.query(FORGET_CHUNKS, [before.id, batch.endBytes]);
      const created = before.dry_run ? [] : items.map((item) => newRow(before, item, now));
      if (created.length > 0)
        await manager.query(INSERT_BATCH, [
          JSON.stringify(
            created.map(({ data, version, ...row }) => ({
              ...row,
              data: JSON.parse(data) as unknown,
              version: Number(version),
            })),
          ),
          before.created_by,
        ]);
      return {
        answer: after,
        events: [...created.map(itemEvent), ...(after.told ? [importEvent(after)] : [])],
      };
    });
    return answer;
  }

  /** @returns the time of the transaction, and the types that may be written: all of them where there are none */
  private async authorise(
    manager: EntityManager,
    { workspace_id, created_by, writable }: ImportRow,
  ): Promise<{ now: string; writable: readonly string[] | undefined }> {
    await manager.query(LOCK_WORKSPACE, [workspace_id]);
    const [allowed] = await manager.query<{ now: string; scopes: string[] | null }[]>(MAY_IMPORT, [
      workspace_id,
      created_by,
    ]);
    if (!allowed) throw new NotAllowedAnyMore();
    const { now, scopes } = allowed;
    const still = scopes === null ? undefined : typesWritableBy(scopes);
    const both = still && writable ? writable.filter((type) => still.includes(type)) : (still ?? writable);
    if (both?.length === 0) throw new NotAllowedAnyMore();
    return { now, writable: both ?? undefined };
  }
}

const CANNOT_BE_KEPT = { pointer: '', detail: 'cannot be kept by PostgreSQL' };
const NOT_WRITABLE = { pointer: '/type', detail: 'is a type that the agent may not write' };

/** As it is, if it was refused before. */
const refused = (row: ImportedRow, error: InputError): ImportedRow =>
  'errors' in row ? row : { line: row.line, errors: [error] };

const ofWritable = (row: ImportedRow, writable: readonly string[] | undefined): ImportedRow =>
  'item' in row && writable?.includes(row.item.type) === false ? refused(row, NOT_WRITABLE) : row;

function isUnstorable(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { code = '' } = error.driverError as { code?: string };
  return UNSTORABLE.test(code);
}

function newRow(of: ImportRow, item: { title: string; type: string; data: unknown }, now: string): ItemRow {
  return {
    id: newId(),
    workspace_id: of.workspace_id,
    type: item.type,
    title: item.title,
    data: JSON.stringify(item.data),
    version: '1',
    created_at: now,
    created_by: of.created_by,
    updated_at: now,
    updated_by: of.created_by,
  };
}

const itemEvent = (row: ItemRow): NewEvent => ({
  streamId: row.workspace_id,
  subject: itemRoom(row.id),
  type: ITEM_CREATED,
  principalId: row.created_by,
  data: JSON.parse(toItemResponse(row)) as unknown,
});
