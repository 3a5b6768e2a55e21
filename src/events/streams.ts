import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { inWorkspaces } from '../database/in-workspaces.sql.js';
import {
  PipelinedStatements,
  type Statement,
  type StatementValue,
} from '../database/pipelined-statements.js';
import { EventsGoneError } from './events-gone.js';
import { StreamEvent } from './stream-event.js';
import { Stream } from './stream.entity.js';

interface EventRow {
  min_seq: string;
  stream_id: string;
  /** Null in the one row of a page without events. */
  seq: string | null;
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

const events = (where: string): string => `
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

/**
 * A page ends at the byte bound, but never before its first event. What is stored is measured first, since that
 * costs nothing, then the text: stored it may be compressed to a hundredth. What the stream keeps is read in the same
 * statement: it is noted before events are dropped, so they are not missing without the note.
 */
const page = (where: string): string => `
  SELECT s.min_seq, found.* FROM streams s LEFT JOIN LATERAL (${events(where)}) found ON true
  WHERE s.id = $1 ORDER BY found.seq`;

const READ_STREAM: Statement = { name: 'events.read_stream', text: page('stream_id = $1') };
const READ_ROOM: Statement = {
  name: 'events.read_room',
  text: page(`subject = $5 AND ${inWorkspaces('stream_id', '$6::uuid[]')}`),
};
const END = `UPDATE streams SET head = head + 1, access_seq = head + 1, ended_at = now()
  WHERE id = $1 RETURNING head, ended_at::text AS time`;
const HEADS: Statement = {
  name: 'events.heads',
  text: `SELECT id, head, access_seq, min_seq, ended_at IS NOT NULL AS ended FROM streams WHERE id = ANY($1::uuid[])`,
};

interface HeadRow {
  id: string;
  head: string;
  access_seq: string;
  min_seq: string;
  ended: 't' | 'f';
}

/** How far a stream is. */
export interface StreamHead {
  /** The newest `seq`; 0 before the first. */
  readonly head: number;
  /** The newest `seq` that took a right from somebody; 0 before the first. */
  readonly accessSeq: number;
  /** The lowest `seq` that is kept; one more than `head` if none is. */
  readonly minSeq: number;
  /** Whether its workspace was deleted, and its events with it. */
  readonly ended: boolean;
}

const NO_HEAD: StreamHead = { head: 0, accessSeq: 0, minSeq: 1, ended: false };

/** The event logs of workspaces: creating, ending and reading them. */
@Injectable()
export class Streams {
  constructor(private readonly statements: PipelinedStatements) {}

  /** Starts the log of a new workspace, within the transaction that creates it. */
  async create(manager: EntityManager, workspaceId: string): Promise<void> {
    await manager.insert(Stream, { id: workspaceId });
  }

  /**
   * Ends the log of a workspace that is deleted, as the last but one thing that its transaction does to it: from
   * here to the commit nobody else appends, and whoever was about to is refused.
   * @returns the `seq` of the end, and when, for the event that tells of it
   */
  async end(manager: EntityManager, workspaceId: string): Promise<{ seq: number; time: string }> {
    const [rows] = await manager.query<[{ head: string; time: string }[], number]>(END, [workspaceId]);
    const [ended] = rows;
    if (!ended) throw new Error(`There is no stream ${workspaceId}`);
    return { seq: Number(ended.head), time: ended.time };
  }

  /** How far each stream is, in the order of the ids. */
  async heads(streamIds: readonly string[]): Promise<StreamHead[]> {
    const rows = await this.statements.run<HeadRow>(HEADS, [streamIds]);
    const found = new Map(rows.map((row) => [row.id, toHead(row)]));
    return streamIds.map((id) => found.get(id) ?? NO_HEAD);
  }

  /**
   * The next page of a stream after `seq`, in order; empty at its end.
   * @param bytes what the page should hold at most; a larger event comes alone
   * @throws {EventsGoneError} if some of the events after `seq` are not kept any more
   */
  async read(
    streamId: string,
    after: number,
    limit = FIRST_PAGE_EVENTS,
    bytes = PAGE_BYTES,
  ): Promise<StreamEvent[]> {
    return this.page(READ_STREAM, after, [streamId, after, limit, bytes]);
  }

  /** The next page of one room's own events after `seq`; as {@link read}. */
  async readSubject(
    streamId: string,
    subject: string,
    after: number,
    limit = FIRST_PAGE_EVENTS,
    bytes = PAGE_BYTES,
  ): Promise<StreamEvent[]> {
    return this.page(READ_ROOM, after, [streamId, after, limit, bytes, subject, [streamId]]);
  }

  private async page(
    statement: Statement,
    after: number,
    values: readonly StatementValue[],
  ): Promise<StreamEvent[]> {
    const rows = await this.statements.run<EventRow>(statement, values);
    const minSeq = Number(rows[0]?.min_seq ?? 0);
    if (after + 1 < minSeq) throw new EventsGoneError(minSeq);
    return rows.filter(({ seq }) => seq !== null).map(toStreamEvent);
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

function toHead(row: HeadRow): StreamHead {
  return {
    head: Number(row.head),
    accessSeq: Number(row.access_seq),
    minSeq: Number(row.min_seq),
    ended: row.ended === 't',
  };
}
