import { applyDecorators } from '@nestjs/common';
import { ApiProperty, PickType } from '@nestjs/swagger';
import { IsOptional, IsString, MaxLength } from 'class-validator';
import type { JsonValue } from '../common/json.js';
import { PageQuery } from '../common/pagination.js';
import { IsRoom } from './rooms.dto.js';

const IsCursor = (): PropertyDecorator =>
  applyDecorators(IsString({ message: 'must be a cursor' }), MaxLength(64, { message: 'must be a cursor' }));

export class ReadEventsQuery extends PickType(PageQuery, ['limit'] as const) {
  /** The room, such as `items/{id}`. */
  @IsRoom()
  room: string;

  /** A cursor: the events after it; from the oldest that is kept when left out. */
  @IsOptional()
  @IsCursor()
  after?: string;
}

export class FollowEventsQuery {
  /** The room, such as `items/{id}`. */
  @IsRoom()
  room: string;

  /** The last cursor that this client has seen: every event after it follows. From now on when left out. */
  @IsOptional()
  @IsCursor()
  after?: string;
}

/** What happened, as a CloudEvents 1.0 object. */
export class CloudEventResponse {
  specversion: string;
  /** Unique. */
  id: string;
  /** The workspace's address. */
  source: string;
  /** Such as `item.updated`. */
  type: string;
  /** The room that it happened in. */
  subject: string;
  /** RFC 3339, UTC. */
  time: string;
  datacontenttype: string;
  /** UUID of the principal who did it. */
  principal: string;
  /** In which trace it was done (W3C Trace Context); of live events whose trace is recorded. */
  traceparent?: string;
  /** Any JSON; of a record, the record after the change. */
  @ApiProperty({
    oneOf: ['object', 'array', 'string', 'number', 'boolean'].map((type) => ({
      type,
      ...(type === 'array' ? { items: {} } : {}),
    })),
  })
  data: JsonValue;
}

/** An event, and where it stands in the stream. */
export class EventEntry {
  cursor: string;
  event: CloudEventResponse;
}

export class EventList {
  /** In the order in which they happened. */
  data: EventEntry[];
  /** For the next page's `after`; null at the end of what there is. */
  nextCursor: string | null;
}
