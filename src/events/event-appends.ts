import { Injectable } from '@nestjs/common';
import { newId } from '../common/identifiers.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { Announcements } from './announcements.js';
import { APPEND_CTES } from './append.sql.js';
import { StreamEvent } from './stream-event.js';
import { WriteCombiner } from './write-combiner.js';

/** An event that comes alone, without a record that changes. */
export interface NewEvent {
  readonly streamId: string;
  readonly subject: string;
  readonly type: string;
  readonly principalId: string;
  /** Any JSON. */
  readonly data: unknown;
}

interface AppendedRow {
  n: string;
  event_id: string;
  stream_id: string | null;
  seq: string | null;
  type: string;
  subject: string;
  principal_id: string;
  time: string;
  data: string;
}

const APPEND: Statement = {
  name: 'events.append',
  text: `
  WITH changes AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(
      n int, stream_id uuid, event_id uuid, type text, subject text, principal_id uuid, data jsonb)
  ), ${APPEND_CTES}
  SELECT c.n, c.event_id, a.stream_id, a.seq, c.type, c.subject, c.principal_id, a."time", c.data
  FROM changes c LEFT JOIN appended a ON a.id = c.event_id`,
};

/** Appends single events to streams, combined like other hot writes. */
@Injectable()
export class EventAppends {
  private readonly combiner: WriteCombiner<object, AppendedRow>;

  constructor(statements: PipelinedStatements, announcements: Announcements) {
    this.combiner = new WriteCombiner(statements, { statement: APPEND }, (rows) =>
      announcements.announce(rows.filter((row) => row.seq !== null).map(toEvent)),
    );
  }

  /**
   * @returns the event as it stands in the stream, after the commit
   * @throws if the stream does not exist
   */
  async append(event: NewEvent): Promise<StreamEvent> {
    const row = await this.combiner.run({
      event_id: newId(),
      stream_id: event.streamId,
      subject: event.subject,
      type: event.type,
      principal_id: event.principalId,
      data: event.data,
    });
    if (row.seq === null) throw new Error(`There is no stream ${event.streamId}`);
    return toEvent(row);
  }
}

function toEvent(row: AppendedRow): StreamEvent {
  return new StreamEvent({
    streamId: row.stream_id ?? '',
    seq: Number(row.seq),
    id: row.event_id,
    type: row.type,
    subject: row.subject,
    principalId: row.principal_id,
    time: row.time,
    data: row.data,
  });
}
