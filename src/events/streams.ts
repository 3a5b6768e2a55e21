import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
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

/** How many events, and how many bytes of them as stored, one page of a read holds at most. */
export const PAGE_EVENTS = 500;
const PAGE_BYTES = 262_144;

/** A page ends at the byte bound, but never before its first event. */
const page = (where: string): string => `
  SELECT stream_id, seq, id, type, subject, principal_id, "time", data FROM (
    SELECT *, sum(pg_column_size(data)) OVER (ORDER BY seq) AS bytes, row_number() OVER (ORDER BY seq) AS n
    FROM (SELECT * FROM events WHERE ${where} AND seq > $2 ORDER BY seq LIMIT $3) found
  ) measured
  WHERE bytes <= ${PAGE_BYTES} OR n = 1 ORDER BY seq`;

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

  /** The next page of a stream after `seq`, in order; empty at its end. */
  async read(streamId: string, after: number, limit = PAGE_EVENTS): Promise<StreamEvent[]> {
    return this.page(READ_STREAM, streamId, after, limit);
  }

  /** The next page of one room's own events after `seq`. */
  async readSubject(subject: string, after: number, limit = PAGE_EVENTS): Promise<StreamEvent[]> {
    return this.page(READ_ROOM, subject, after, limit);
  }

  private async page(statement: Statement, of: string, after: number, limit: number): Promise<StreamEvent[]> {
    const rows = await this.statements.run<EventRow>(statement, [of, after, limit]);
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
