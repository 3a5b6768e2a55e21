import type { Statement } from '../database/pipelined-statements.js';
import { MAY_HEAR, ROOM_OF_CALLER } from './custom-rooms.sql.js';

/** How many bytes of data a page of messages holds at most; a longer message comes alone. */
export const PAGE_BYTES = 1_048_576;

/**
 * What was said in a room, newest first, from before a `seq` on; what Atrium itself says of the room is left out. As
 * a page of the stream, it ends at the byte bound, by the stored size before the text is unpacked; `found` tells
 * whether there is more. No row: no such room for the caller. One row without a `seq`: nothing left.
 */
export const ROOM_MESSAGES: Statement = {
  name: 'rooms.messages',
  text: `SELECT s.head, said.* FROM ${ROOM_OF_CALLER} JOIN streams s ON s.id = r.workspace_id
    LEFT JOIN LATERAL (
      SELECT stream_id, seq, id, type, subject, principal_id, "time", text AS data, found FROM (
        SELECT *, sum(octet_length(text)) OVER (ORDER BY seq DESC) AS bytes FROM (
          SELECT *, data::text AS text FROM (
            SELECT *, sum(pg_column_size(data)) OVER (ORDER BY seq DESC) AS stored,
              row_number() OVER (ORDER BY seq DESC) AS n, count(*) OVER () AS found
            FROM (
              SELECT * FROM events e
              WHERE e.subject = 'rooms/' || r.id AND e.seq < COALESCE($3::bigint, 9223372036854775807)
                AND e.type NOT LIKE 'room.%'
              ORDER BY e.seq DESC LIMIT $4
            ) newest
          ) measured
          WHERE stored <= ${PAGE_BYTES} OR n = 1 OFFSET 0
        ) unpacked
      ) counted
      WHERE bytes <= ${PAGE_BYTES} OR n = 1
    ) said ON true
    WHERE r.id = $1 AND ${MAY_HEAR} ORDER BY said.seq DESC`,
};

export interface MessageRow {
  stream_id: string;
  seq: string;
  id: string;
  type: string;
  subject: string;
  principal_id: string;
  time: string;
  data: string;
  found: string;
}
