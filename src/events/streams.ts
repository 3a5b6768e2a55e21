import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import {
  PipelinedStatements,
  type Statement,
  type StatementValue,
} from '../database/pipelined-statements.js';
import { StreamEvent } from './stream-event.js';
import { Stream } from './stream.entity.js';

interface EventRow {
  stream_id: string;
  seq: string;
  id: string;
  type: string;
  subject: string;
  principal_id: string;
  time: string;
  data: string;
}

/** How many events, and how many bytes of their data, one page of a read holds at most. */
const PAGE_EVENTS = 500;
/** A first page looks at fewer: large events are not to be unpacked only to be left for the next page. */
export const FIRST_PAGE_EVENTS = 64;
/** How many events the page after one with so many should look at. */
export const nextPageEvents = (events: number): number => Math.min(2 * events, PAGE_EVENTS);
export const PAGE_BYTES = 262_144;

/**
 * A page ends at the byte bound, but never before its first event. What is stored is measured first, since that
 * costs nothing, then the text: stored it may be compressed to a hundredth.
 */
const page = (where: string): string => `
  SELECT stream_id, seq, id, type, subject, principal_id, "time", text AS data FROM (
    SELECT *, sum(octet_length(text)) OVER (ORDER BY seq) AS bytes FROM (
      SELECT *, data::text AS text FROM (
        SELECT *, sum(pg_column_size(data)) OVER (ORDER BY seq) AS stored, row_number() OVER (ORDER BY seq) AS n
        FROM (SELECT * FROM events WHERE ${where} AND seq > $2 ORDER BY seq LIMIT $3) found
      ) measured
      WHERE stored <= $4 OR n = 1 OFFSET 0
    ) unpacked
  ) counted
  WHERE bytes <= $4 OR n = 1 ORDER BY seq`;

const READ_STREAM: Statement = { name: 'events.read_stream', text: page('stream_id = $1') };
const READ_ROOM: Statement = { name: 'events.read_room', text: page('subject = $1') };
const HEADS: Statement = {
  name: 'events.heads',
  text: `SELECT id, head FROM streams WHERE id = ANY($1::uuid[])`,
};

/** The event logs of workspaces: creating and reading them. */
@Injectable()
export class Streams {
  constructor(private readonly statements: PipelinedStatements) {}

  /** Starts the log of a new workspace, within the transaction that creates it. */
  async create(manager: EntityManager, workspaceId: string): Promise<void> {
    await manager.insert(Stream, { id: workspaceId });
  }

  /** The newest `seq` of each stream; streams that do not exist are missing from the map. */
  async heads(streamIds: readonly string[]): Promise<Map<string, number>> {
    const rows = await this.statements.run<{ id: string; head: string }>(HEADS, [streamIds]);
    return new Map(rows.map((row) => [row.id, Number(row.head)]));
  }

  /**
   * The next page of a stream after `seq`, in order; empty at its end.
   * @param bytes what the page should hold at most; a larger event comes alone
   */
  async read(
    streamId: string,
    after: number,
    limit = FIRST_PAGE_EVENTS,
    bytes = PAGE_BYTES,
  ): Promise<StreamEvent[]> {
    return this.page(READ_STREAM, [streamId, after, limit, bytes]);
  }

  /** The next page of one room's own events after `seq`; as {@link read}. */
  async readSubject(
    subject: string,
    after: number,
    limit = FIRST_PAGE_EVENTS,
    bytes = PAGE_BYTES,
  ): Promise<StreamEvent[]> {
    return this.page(READ_ROOM, [subject, after, limit, bytes]);
  }

  private async page(statement: Statement, values: readonly StatementValue[]): Promise<StreamEvent[]> {
    const rows = await this.statements.run<EventRow>(statement, values);
    return rows.map(toStreamEvent);
  }
}

function toStreamEvent(row: EventRow): StreamEvent {
  return new StreamEvent({
    streamId: row.stream_id,
    seq: Number(row.seq),
    id: row.id,
    type: row.type,
    subject: row.subject,
    principalId: row.principal_id,
    time: row.time,
    data: row.data,
  });
}
