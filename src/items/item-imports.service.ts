import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import { UnreadableBody } from '../common/body.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { DEFAULT_LIMIT, type PageQuery } from '../common/pagination.js';
import { Forbidden, ValidationFailed } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { TypeNotWritable, writableTypes } from '../common/scopes.js';
import type { Upload } from '../common/upload.js';
import { AtriumConfig } from '../config/config.js';
import { Transactions } from '../database/transactions.js';
import { type Appended, AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import { Jobs } from '../jobs/jobs.js';
import type { Role } from '../workspaces/membership.entity.js';
import { may } from '../workspaces/permissions.js';
import type { Caller } from '../workspaces/requires.js';
import { WorkspaceDeletion } from '../workspaces/workspace-deletion.js';
import { formatOf } from './item-import-bodies.js';
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
import { ANSWERED, APPEND_CHUNK, BEGIN, MAX_UNFINISHED, QUEUE, READ, REFUSALS } from './item-import.sql.js';
import { ItemWorkspaceNotFound } from './items.errors.js';

const CHUNK_BYTES = 262_144;

type ReadRow = ImportRow & { readonly role: Role; readonly head: string };

/** Imports of items as those who begin them see them: uploaded whole or in parts, followed, and cancelled. */
@Injectable()
export class ItemImports implements OnModuleInit {
  private readonly limitBytes: number;

  constructor(
    private readonly dataSource: DataSource,
    private readonly transactions: Transactions,
    private readonly appending: AppendingTransactions,
    private readonly kept: KeptAnswers,
    private readonly audit: AuditTrail,
    private readonly epoch: Epoch,
    private readonly runs: ItemImportRuns,
    private readonly jobs: Jobs,
    private readonly workspaceDeletion: WorkspaceDeletion,
    config: AtriumConfig,
  ) {
    this.limitBytes = config.imports.limitBytes;
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
    client: ClientInfo,
  ): Promise<Representation<ImportResponse>> {
    const format = formatOf(query, upload);
    if (upload.offset) throw new UploadOffsetMismatch(0);
    const id = newId();
    const [begun] = await this.dataSource.query<{ role: Role; id: string | null }[]>(BEGIN, [
      ...[id, caller.id, query.workspaceId ?? caller.agent?.workspaceId ?? null],
      ...[format, query.dryRun === 'true', caller.claim?.keyHash ?? null, writableTypes(caller) ?? null],
    ]);
    if (!begun) throw new ItemWorkspaceNotFound();
    if (!may(begun.role, 'items:write')) throw new Forbidden('A viewer cannot write items.');
    if (begun.id === null) throw new TooManyImports(MAX_UNFINISHED);
    try {
      const end = await this.store(id, upload.bytes, 0);
      return await (upload.complete === false ? this.begun(caller, id) : this.queue(caller, id, end, client));
    } catch (error) {
      if (upload.complete === undefined) await this.dataSource.manager.delete(ItemImport, { id });
      throw error;
    }
  }

  /**
   * Takes the next part of an upload.
   * @throws {ImportNotFound} for everybody but whoever began it
   * @throws {TypeNotWritable} by a token that reaches less far than the one that it was begun with
   * @throws {UploadOffsetMismatch} @throws {UploadComplete} @throws {ImportTooLarge}
   */
  async upload(
    caller: Caller<'items:write'>,
    id: string,
    upload: Upload,
    client: ClientInfo,
  ): Promise<Representation<ImportResponse>> {
    const row = await this.find(caller, id);
    if (row.created_by !== caller.id) throw new ImportNotFound();
    requireWriter(caller, row);
    if (row.state !== 'uploading') throw new UploadComplete();
    if (upload.offset !== Number(row.received_bytes))
      throw new UploadOffsetMismatch(Number(row.received_bytes));
    const end = await this.store(id, upload.bytes, upload.offset);
    return upload.complete ? this.queue(caller, id, end, client) : this.read(caller, id);
  }

  /** @throws {ImportNotFound} */
  async read(caller: Caller, id: string): Promise<Representation<ImportResponse>> {
    const row = await this.find(caller, id);
    return this.answer(row, row.head);
  }

  /** Where an upload is, in headers. @throws {ImportNotFound} */
  async offset(caller: Caller, id: string): Promise<Representation<never>> {
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

  /**
   * Ends it; what it has created stays.
   * @throws {ImportNotFound} @throws {Forbidden} for a viewer @throws {TypeNotWritable}
   */
  async cancel(caller: Caller<'items:write'>, id: string): Promise<void> {
    requireWriter(caller, await this.find(caller, id));
    await this.runs.end(id, 'cancelled', null);
  }

  private async find(caller: Caller, id: string): Promise<ReadRow> {
    const [row] = await this.dataSource.query<ReadRow[]>(READ, [id, caller.id]);
    if (!row) throw new ImportNotFound();
    return row;
  }

  /** Answers its first part. */
  private async begun(caller: Caller, id: string): Promise<Representation<ImportResponse>> {
    if (!caller.claim) return this.answerBegun(await this.find(caller, id));
    return this.transactions.run(async (manager) => {
      await manager.query(ANSWERED, [id]);
      const [row] = await manager.query<ReadRow[]>(READ, [id, caller.id]);
      if (!row) throw new ImportNotFound();
      const answer = this.answerBegun(row);
      await this.kept.keep(manager, caller, answer, 201);
      return answer;
    });
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

  /** All is there: the work begins. */
  private async queue(
    caller: Caller,
    id: string,
    bytes: number,
    client: ClientInfo,
  ): Promise<Representation<ImportResponse>> {
    const work = async (manager: EntityManager) => {
      const [[row]] = await manager.query<[ImportRow[], number]>(QUEUE, [id, bytes]);
      if (!row) throw new UploadComplete();
      await this.jobs.enqueue(IMPORT_JOB, { importId: id }, { manager, key: id });
      const detail = { importId: id, format: row.format, dryRun: row.dry_run, bytes };
      const entry = { client, workspaceId: row.workspace_id, principalId: caller.id, detail };
      await this.audit.record({ action: 'items.import-started', ...entry }, manager);
      return { answer: row, events: [importEvent(row)] };
    };
    const represent = ({ answer, events }: Appended<ImportRow>) => this.answer(answer, events[0].seq, 202);
    return represent(await this.appending.run(work, this.kept.last(caller, represent, 202)));
  }

  private answerBegun(row: ReadRow): Representation<ImportResponse> {
    return this.answer(row, row.head, 201);
  }

  /** @param seq where the workspace's stream is */
  private answer(row: ImportRow, seq: string | number, status?: number): Representation<ImportResponse> {
    return Representation.of(toImportResponse(row), {
      version: row.version,
      cursor: formatCursor(this.epoch.current, Number(seq)),
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

/**
 * Refuses whoever may not write what the import writes.
 * @throws {Forbidden} @throws {TypeNotWritable}
 */
function requireWriter(caller: Caller, { role, writable }: ReadRow): void {
  if (!may(role, 'items:write')) throw new Forbidden('A viewer cannot write items.');
  const own = writableTypes(caller);
  if (own && !writable?.every((type) => own.includes(type))) throw new TypeNotWritable();
}
