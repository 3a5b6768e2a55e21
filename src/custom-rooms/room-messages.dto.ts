import { ApiProperty } from '@nestjs/swagger';
import { ValidationFailed } from '../common/problem.js';
import { CloudEventResponse } from '../rooms/events.dto.js';

export class RoomMessageList {
  /** Newest first; fewer than asked for when they are long. */
  @ApiProperty({ type: [CloudEventResponse] })
  data: CloudEventResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** A page of messages whose last one was `seq`; opaque to clients. */
export const encodeSeqCursor = (seq: number): string => Buffer.from(String(seq)).toString('base64url');

/**
 * @returns the `seq` that {@link encodeSeqCursor} was given
 * @throws {ValidationFailed} pointing at `/cursor`
 */
export function decodeSeqCursor(cursor: string | undefined): number | null {
  if (cursor === undefined) return null;
  const text = Buffer.from(cursor, 'base64url').toString();
  if (!/^[1-9]\d{0,14}$/.test(text) || encodeSeqCursor(Number(text)) !== cursor)
    throw new ValidationFailed([{ pointer: '/cursor', detail: 'must be a nextCursor that a list answered' }]);
  return Number(text);
}
