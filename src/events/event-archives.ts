import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';

/** Held by whoever copies events, and shared by those who remove what the copies belong to. */
const ARCHIVE_LOCK = '7201077004';
/** Events, and bytes of them as they are stored, that are copied in one transaction. */
const BATCH_EVENTS = 1_000;
const BATCH_BYTES = 16_777_216;

interface Position {
  stream_id: string;
  seq: string;
  time: string;
}
const START: Position = { stream_id: '00000000-0000-0000-0000-000000000000', seq: '0', time: '-infinity' };

/**
 * What features keep of events when these are dropped. It is copied before, in batches, and may be copied again.
 */
@Injectable()
export class EventArchives {
  private readonly copies: string[] = [];

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Adds a copy; called once per module, at start-up.
   * @param insert an INSERT from `due`, which has the columns of `events`; `ON CONFLICT DO NOTHING`
   */
  add(insert: string): void {
    this.copies.push(insert);
  }

  /** Copies what a table has of before `until` (RFC 3339), batch by batch. */
  async copy(table: string, until: string): Promise<void> {
    for (let at: Position | undefined = START; at && this.copies.length > 0;)
      at = await this.dataSource.transaction(async (manager): Promise<Position | undefined> => {
        await this.lock(manager);
        return this.copyBatch(manager, table, until, at ?? START);
      });
  }

  /** {@link copy} within one transaction, behind {@link lock}. */
  async copyWithin(manager: EntityManager, table: string, until: string): Promise<void> {
    for (let at: Position | undefined = START; at && this.copies.length > 0;)
      at = await this.copyBatch(manager, table, until, at);
  }

  /** Waits until nobody removes what copies belong to; before any other lock, and until the transaction ends. */
  async lock(manager: EntityManager): Promise<void> {
    await manager.query('SELECT pg_advisory_xact_lock($1)', [ARCHIVE_LOCK]);
  }

  /**
   * Whoever removes a record, whose events a copy is kept of, begins with this: then no copy is made of it after
   * the removal has looked.
   */
  async exclude(manager: EntityManager): Promise<void> {
    await manager.query('SELECT pg_advisory_xact_lock_shared($1)', [ARCHIVE_LOCK]);
  }

  private async copyBatch(
    manager: EntityManager,
    table: string,
    until: string,
    { stream_id, seq, time }: Position,
  ): Promise<Position | undefined> {
    const copies = this.copies.map((insert, n) => `, copied${n} AS (${insert})`).join('');
    const statement = `WITH due AS MATERIALIZED (
        SELECT * FROM (
          SELECT *, sum(pg_column_size(data)) OVER position AS stored, row_number() OVER position AS n FROM (
            SELECT * FROM ${table} WHERE (stream_id, seq, "time") > ($1, $2, $3) AND "time" < $4
            ORDER BY stream_id, seq, "time" LIMIT ${BATCH_EVENTS}
          ) found WINDOW position AS (ORDER BY stream_id, seq, "time")
        ) measured WHERE stored <= ${BATCH_BYTES} OR n = 1
      )${copies}
      SELECT stream_id, seq, "time"::text FROM due ORDER BY stream_id DESC, seq DESC, "time" DESC LIMIT 1`;
    const [last] = await manager.query<Position[]>(statement, [stream_id, seq, time, until]);
    return last;
  }
}
