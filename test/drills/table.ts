import { type Table, toEntry } from './records.js';

interface EventRow {
  readonly stream_id: string;
  readonly seq: string;
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly principal_id: string;
  readonly data: unknown;
}

/** Reads what the database holds of the streams of workspaces that drills write in. */
export async function readTable(ask: <Row extends object>(text: string) => Promise<Row[]>): Promise<Table> {
  const streams = await ask<{ id: string; head: string; min_seq: string }>(
    'SELECT id, head, min_seq FROM streams WHERE head > 0',
  );
  const events = await ask<EventRow>(
    'SELECT stream_id, seq, id, type, subject, principal_id, data FROM events ORDER BY stream_id, seq',
  );
  const items = await ask<{ id: string; version: number; write: string | null }>(
    `SELECT id, version, data->>'write' AS write FROM items`,
  );
  return {
    streams: streams.map(({ id, head, min_seq }) => {
      // Below what is kept, some may still stand in a later partition: nobody is given it.
      const own = events.filter(({ stream_id, seq }) => stream_id === id && Number(seq) >= Number(min_seq));
      return {
        id,
        head: Number(head),
        first: Number(min_seq),
        events: own.map(({ seq, id: event, type, subject, principal_id, data }) =>
          toEntry({ seq: Number(seq), id: event, type, subject, principal: principal_id, data }),
        ),
      };
    }),
    items: items.map(({ id, version, write }) => ({ id, version, write: write ?? undefined })),
  };
}
