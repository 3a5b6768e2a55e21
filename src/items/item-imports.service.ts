import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { newId } from '../common/identifiers.js';
import { Forbidden, ValidationFailed } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import type { Upload } from '../common/upload.js';
import { type StreamedBody, UnreadableBody, UnsupportedMediaType } from '../common/body.js';
import { type PageQuery, DEFAULT_LIMIT } from '../common/pagination.js';
import { AtriumConfig } from '../config/config.js';
import { AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { Jobs } from '../jobs/jobs.js';
import type { Role } from '../workspaces/membership.entity.js';
import { may } from '../workspaces/permissions.js';
import type { Caller } from '../workspaces/requires.js';
import { WorkspaceDeletion } from '../workspaces/workspace-deletion.js';
import type { ItemFormat } from './item-export.query.js';
import { ItemImport } from './item-import.entity.js';
import {
  type ImportQuery,
  type ImportRefusal,
  type ImportRefusalList,
  type ImportResponse,
  type ImportRow,
  toImportResponse,
} from './item-import.dto.js';
import {
  ImportNotFound,
  ImportTooLarge,
  TooManyImports,
  UploadComplete,
  UploadOffsetMismatch,
} from './item-import.errors.js';
import { importEvent } from './item-import.events.js';
import { IMPORT_JOB, ItemImportRuns } from './item-import-runs.js';
import {
  ABANDONED,
  APPEND_CHUNK,
  BEGIN,
  MAX_UNFINISHED,
  PURGE,
  QUEUE,
  READ,
  REFUSALS,
} from './item-import.sql.js';
import { ItemWorkspaceNotFound } from './items.errors.js';

const CHUNK_BYTES = 262_144;
const PURGE_JOB = 'items.purge-imports';
const HOURLY = '41 * * * *';
export const PART_TYPE = 'application/partial-upload';
const FORMAT_OF: Readonly<Record<string, ItemFormat>> = {
  'application/x-ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'text/csv': 'csv',
};
/** What the body of an import may be. */
export const IMPORT_TYPES = Object.keys(FORMAT_OF);

/** The bodies that are read as they come. */
export const IMPORT_BODIES: readonly StreamedBody[] = [
  { method: 'POST', path: /^\/v1\/items\/import\/?$/i, types: IMPORT_TYPES },
  { method: 'PATCH', path: /^\/v1\/items\/imports\/[^/]+\/?$/i, types: [PART_TYPE] },
];

type ReadRow = ImportRow & { readonly role: Role; readonly head: string };

/** Imports of items as those who begin them see them: uploaded whole or in parts, followed, and cancelled. */
@Injectable()
export class ItemImports implements OnModuleInit {
  private readonly limitBytes: number;

  constructor(
    private readonly dataSource: DataSource,
    private readonly appending: AppendingTransactions,
    private readonly epoch: Epoch,
    private readonly runs: ItemImportRuns,
    private readonly jobs: Jobs,
    private readonly workspaceDeletion: WorkspaceDeletion,
    config: AtriumConfig,
  ) {
    this.limitBytes = config.imports.limitBytes;
    jobs.handle(PURGE_JOB, { single: true }, async () => {
      await this.purge();
      return 'done';
    });
    jobs.schedule(PURGE_JOB, HOURLY);
  }

  onModuleInit(): void {
    this.workspaceDeletion.add(async (manager, workspaceId) => {
      await manager.delete(ItemImport, { workspaceId });
    });
  }

  /**
   * Begins an import with what is uploaded, all of it or its first part. What was to come whole and is cut off is
   * forgotten.
   * @throws {ItemWorkspaceNotFound} @throws {Forbidden} for a viewer @throws {TooManyImports} @throws {ImportTooLarge}
   */
  async create(
    caller: Caller<'items:write'>,
    query: ImportQuery,
    upload: Upload,
  ): Promise<Representation<ImportResponse>> {
    const format = formatOf(query, upload);
    if (upload.offset) throw new UploadOffsetMismatch(0);
    const id = newId();
    const values = [id, caller.id, query.workspaceId ?? null, format, query.dryRun === 'true'];
    const [begun] = await this.dataSource.query<{ role: Role; id: string | null }[]>(BEGIN, values);
    if (!begun) throw new ItemWorkspaceNotFound();
    if (!may(begun.role, 'items:write')) throw new Forbidden('A viewer cannot write items.');
    if (begun.id === null) throw new TooManyImports(MAX_UNFINISHED);
    try {
      return await this.append(caller, id, upload, 0, upload.complete ?? true, 201);
    } catch (error) {
      if (upload.complete === undefined) await this.dataSource.manager.delete(ItemImport, { id });
      throw error;
    }
  }

  /**
   * Takes the next part of an upload.
   * @throws {ImportNotFound} for everybody but whoever began it
   * @throws {UploadOffsetMismatch} @throws {UploadComplete} @throws {ImportTooLarge}
   */
  async upload(
    caller: Caller<'items:write'>,
    id: string,
    upload: Upload,
  ): Promise<Representation<ImportResponse>> {
    const row = await this.find(caller, id);
    if (row.created_by !== caller.id) throw new ImportNotFound();
    if (!may(row.role, 'items:write')) throw new Forbidden('A viewer cannot write items.');
    if (row.state !== 'uploading') throw new UploadComplete();
    if (upload.offset !== Number(row.received_bytes))
      throw new UploadOffsetMismatch(Number(row.received_bytes));
    return this.append(caller, id, upload, upload.offset, upload.complete ?? false, 200);
  }

  /** @throws {ImportNotFound} */
  async read(caller: Caller<'items:read'>, id: string): Promise<Representation<ImportResponse>> {
    return this.answer(await this.find(caller, id));
  }

  /** Where an upload is, in headers. @throws {ImportNotFound} */
  async offset(caller: Caller<'items:read'>, id: string): Promise<Representation<never>> {
    return new Representation<never>('', { headers: this.headers(await this.find(caller, id)) });
  }

  /** The refused records, by line; the first 10,000. @throws {ImportNotFound} */
  async refusals(
    caller: Caller<'items:read'>,
    id: string,
    { limit = DEFAULT_LIMIT, cursor }: PageQuery,
  ): Promise<Representation<ImportRefusalList>> {
    await this.find(caller, id);
    if (cursor !== undefined && !/^\d{1,9}$/.test(cursor))
      throw new ValidationFailed([
        { pointer: '/cursor', detail: 'must be a nextCursor that a list answered' },
      ]);
    const rows = await this.dataSource.query<ImportRefusal[]>(REFUSALS, [id, Number(cursor ?? 0), limit + 1]);
    const data = rows.slice(0, limit);
    const nextCursor = rows.length > limit ? String(data[data.length - 1].line) : null;
    return Representation.of({ data, nextCursor });
  }

  /** Ends it; what it has created stays. @throws {ImportNotFound} @throws {Forbidden} for a viewer */
  async cancel(caller: Caller<'items:write'>, id: string): Promise<void> {
    const row = await this.find(caller, id);
    if (!may(row.role, 'items:write')) throw new Forbidden('A viewer cannot write items.');
    await this.runs.end(id, 'cancelled', null);
  }

  private async find(caller: Caller, id: string): Promise<ReadRow> {
    const [row] = await this.dataSource.query<ReadRow[]>(READ, [id, caller.id]);
    if (!row) throw new ImportNotFound();
    return row;
  }

  private async append(
    caller: Caller,
    id: string,
    upload: Upload,
    from: number,
    complete: boolean,
    status: number,
  ): Promise<Representation<ImportResponse>> {
    const end = await this.store(id, upload.bytes, from);
    if (complete) await this.queue(id, end);
    return this.answer(await this.find(caller, id), complete ? 202 : status);
  }

  /**
   * Keeps the bytes, chunk by chunk, no faster than the database takes them.
   * @returns how many there are now
   */
  private async store(id: string, bytes: AsyncIterable<Buffer>, from: number): Promise<number> {
    let parts: Buffer[] = [];
    let held = 0;
    let at = from;
    const write = async (): Promise<void> => {
      if (held === 0) return;
      const chunk = Buffer.concat(parts);
      [parts, held] = [[], 0];
      const taken = await this.dataSource.query<unknown[]>(APPEND_CHUNK, [id, at, chunk]);
      // Another part came at the same time, or the import was cancelled.
      if (taken.length === 0) throw new UploadComplete();
      at += chunk.length;
    };
    try {
      for await (const part of bytes) {
        parts.push(part);
        held += part.length;
        if (at + held > this.limitBytes) throw new ImportTooLarge(this.limitBytes);
        if (held >= CHUNK_BYTES) await write();
      }
    } catch (error) {
      if (!isCut(error)) throw error;
      // What came is not to be sent again.
      await write();
      throw new UnreadableBody(error);
    }
    await write();
    return at;
  }

  private async queue(id: string, bytes: number): Promise<void> {
    await this.appending.run(async (manager) => {
      const [[row]] = await manager.query<[ImportRow[], number]>(QUEUE, [id, bytes]);
      if (!row) throw new UploadComplete();
      await this.jobs.enqueue(IMPORT_JOB, { importId: id }, { manager, key: id });
      return { answer: undefined, events: [importEvent(row)] };
    });
  }

  private async purge(): Promise<void> {
    const abandoned = await this.dataSource.query<{ id: string }[]>(ABANDONED);
    for (const { id } of abandoned) await this.runs.end(id, 'cancelled', 'abandoned');
    await this.dataSource.query(PURGE);
  }

  private answer(row: ReadRow, status?: number): Representation<ImportResponse> {
    return Representation.of(toImportResponse(row), {
      version: row.version,
      cursor: formatCursor(this.epoch.current, Number(row.head)),
      headers: this.headers(row),
      ...(status !== undefined && { status, location: `/v1/items/imports/${row.id}` }),
    });
  }

  private headers({ received_bytes, state }: ImportRow): Record<string, string> {
    return {
      'Upload-Offset': received_bytes,
      'Upload-Complete': state === 'uploading' ? '?0' : '?1',
      'Upload-Limit': `max-size=${this.limitBytes}`,
    };
  }
}

const isCut = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'ECONNRESET' || error.code === 'ERR_STREAM_PREMATURE_CLOSE');

/** @throws {ValidationFailed} @throws {UnsupportedMediaType} */
function formatOf({ format }: ImportQuery, { mediaType, complete }: Upload): ItemFormat {
  const found = FORMAT_OF[mediaType];
  if (found && format && found !== format)
    throw new ValidationFailed([{ pointer: '/format', detail: `must be ${found}, as the media type says` }]);
  if (!found && complete !== false) throw new UnsupportedMediaType('POST', IMPORT_TYPES);
  return found ?? format ?? 'ndjson';
}
