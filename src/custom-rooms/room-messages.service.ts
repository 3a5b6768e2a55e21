import { Injectable } from '@nestjs/common';
import { DEFAULT_LIMIT, type PageQuery } from '../common/pagination.js';
import { Representation } from '../common/representation.js';
import { AtriumConfig } from '../config/config.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { cloudEventJson } from '../events/stream-event.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import type { CloudEventResponse } from '../rooms/events.dto.js';
import { type Published, Publisher } from '../rooms/publisher.js';
import type { PublishRequest } from '../rooms/rooms.dto.js';
import type { Caller } from '../workspaces/requires.js';
import { CustomRoomNotFound, MessageTooLarge } from './custom-rooms.errors.js';
import { customRoom } from './custom-rooms.events.js';
import { decodeSeqCursor, encodeSeqCursor, type RoomMessageList } from './room-messages.dto.js';
import { type MessageRow, ROOM_MESSAGES } from './room-messages.sql.js';

/** What is said in rooms, over HTTP: the same messages, by the same rules, as over sockets. */
@Injectable()
export class RoomMessagesService {
  constructor(
    private readonly publisher: Publisher,
    private readonly statements: PipelinedStatements,
    private readonly epoch: Epoch,
    private readonly kept: KeptAnswers,
    private readonly config: AtriumConfig,
  ) {}

  /**
   * Says something in a room. What is not durable is sent and gone: 202, without a cursor.
   * @throws {MessageTooLarge}
   * @throws as {@link Publisher.publish}
   */
  async publish(
    caller: Caller<'rooms:publish'>,
    roomId: string,
    { type, data, durable }: PublishRequest,
  ): Promise<Representation<CloudEventResponse>> {
    const { frameLimitBytes } = this.config.sockets;
    if (Buffer.byteLength(JSON.stringify(data)) > frameLimitBytes) throw new MessageTooLarge(frameLimitBytes);
    const message = { room: customRoom(roomId), type, data, durable };
    const last = this.kept.last(caller, represent);
    return represent(await this.publisher.publish(caller, message, { last }));
  }

  /**
   * What was said in a room, newest first. The answer's cursor is the stream's: join after it, and nothing is lost.
   * @throws {CustomRoomNotFound} if the caller does not hear what is said there
   */
  async list(
    caller: Caller<'rooms:read'>,
    roomId: string,
    query: PageQuery,
  ): Promise<Representation<RoomMessageList>> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const rows = await this.statements.run<MessageRow & { head: string }>(ROOM_MESSAGES, [
      roomId,
      caller.id,
      decodeSeqCursor(query.cursor),
      limit + 1,
    ]);
    const [first] = rows;
    if (!first) throw new CustomRoomNotFound();
    const messages = (first.seq as string | null) === null ? [] : rows.slice(0, limit);
    const last = messages.at(-1);
    const more = last && Number(last.found) > messages.length;
    const nextCursor = more ? `"${encodeSeqCursor(Number(last.seq))}"` : 'null';
    return new Representation(`{"data":[${messages.map(toMessage).join(',')}],"nextCursor":${nextCursor}}`, {
      cursor: formatCursor(this.epoch.current, Number(first.head)),
    });
  }
}

function represent({ json, cursor }: Published): Representation<CloudEventResponse> {
  return new Representation(json, { cursor, status: cursor === undefined ? 202 : undefined });
}

/** A {@link CloudEventResponse} as JSON text. */
function toMessage(row: MessageRow): string {
  return cloudEventJson({
    streamId: row.stream_id,
    id: row.id,
    type: row.type,
    subject: row.subject,
    principalId: row.principal_id,
    time: row.time,
    data: row.data,
  });
}
