import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { newId } from '../common/identifiers.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Transactions } from '../database/transactions.js';
import { Announcements } from './announcements.js';
import { APPEND_AUTHORISED, appendAll } from './append.sql.js';
import { StreamEvent } from './stream-event.js';
import { WriteCombiner } from './write-combiner.js';

/** An event that comes alone, without a record that changes in the same statement. */
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

const PLAIN = appendAll(false);
const TAKES_ACCESS = appendAll(true);

/** Appends events to streams: single ones combined like other hot writes, or within a transaction. */
@Injectable()
export class EventAppends {
  private readonly combiner: WriteCombiner<object, AppendedRow>;

  constructor(
    statements: PipelinedStatements,
    private readonly announcements: Announcements,
    private readonly transactions: Transactions,
  ) {
    this.combiner = new WriteCombiner(
      statements,
      { statement: { name: 'events.append', text: APPEND_AUTHORISED } },
      (rows) => announcements.announce(rows.filter((row) => row.seq !== null).map(toEvent)),
    );
  }

  /**
   * @param authorisedAt the position of the stream at which the caller was found to be allowed to
   * @returns the event as it stands in the stream, after the commit; `undefined` if somebody has lost a right since
   *   `authorisedAt`, or the stream is gone: then nothing was written, and who may do what must be asked again
   */
  async append(event: NewEvent, authorisedAt: number): Promise<StreamEvent | undefined> {
    const row = await this.combiner.run({ ...input(event), authorised_at: authorisedAt });
    return row.seq === null ? undefined : toEvent(row);
  }

  /**
   * {@link append} in a transaction of its own.
   * @param last what must stand or fall with it
   */
  async appendWith(
    event: NewEvent,
    authorisedAt: number,
    last: (manager: EntityManager, event: StreamEvent) => Promise<void>,
  ): Promise<StreamEvent | undefined> {
    const parameter = JSON.stringify([{ n: 0, ...input(event), authorised_at: authorisedAt }]);
    const appended = await this.transactions.run(async (manager) => {
      const [row] = await manager.query<AppendedRow[]>(APPEND_AUTHORISED, [parameter]);
      if (row.seq === null) return undefined;
      const done = toEvent(row);
      await last(manager, done);
      return done;
    });
    if (appended) this.announcements.announce([appended]);
    return appended;
  }

  /**
   * Appends events in an ordinary transaction, whose last statement this must be: from here to the commit it
   * holds the stream's counter. {@link import('./appending-transactions.js').AppendingTransactions} sees to that.
   * @param takesAccess whether the events take a right from somebody
   * @returns the events as they will stand in the stream; to be announced after the commit
   */
  async appendWithin(
    manager: EntityManager,
    events: readonly NewEvent[],
    takesAccess = false,
  ): Promise<StreamEvent[]> {
    if (events.length === 0) return [];
    const parameter = JSON.stringify(events.map((event, n) => ({ n, ...input(event) })));
    const rows = await manager.query<AppendedRow[]>(takesAccess ? TAKES_ACCESS : PLAIN, [parameter]);
    return rows.map((row) => {
      if (row.seq === null) throw new Error(`There is no stream for ${row.type} of ${row.subject}`);
      return toEvent(row);
    });
  }
}

function input(event: NewEvent): object {
  return {
    event_id: newId(),
    stream_id: event.streamId,
    subject: event.subject,
    type: event.type,
    principal_id: event.principalId,
    data: event.data,
  };
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
