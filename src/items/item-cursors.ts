import { Injectable } from '@nestjs/common';
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { ValidationFailed } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';

/** Where a page starts: after or before a record, or with it. */
export type CursorMode = 'after' | 'before' | 'from' | 'upto';

/** A place in a list: the sort keys of a record, the id last, as PostgreSQL's text. */
export interface ListPosition {
  readonly mode: CursorMode;
  readonly keys: readonly string[];
}

const MODES: readonly CursorMode[] = ['after', 'before', 'from', 'upto'];
const TAG_BYTES = 12;

/** Writes and reads cursors of lists, opaque and signed: one that was changed, or is another list's, is refused. */
@Injectable()
export class ItemCursors {
  private readonly key: Buffer;

  constructor({ tokens }: AtriumConfig) {
    this.key = Buffer.from(hkdfSync('sha256', tokens.secret, '', 'atrium list cursors', 32));
  }

  /** @param list what makes the list this one: caller or workspace, filter and order */
  write(list: string, { mode, keys }: ListPosition): string {
    const payload = Buffer.from(JSON.stringify([MODES.indexOf(mode), ...keys]));
    return Buffer.concat([this.tag(list, payload), payload]).toString('base64url');
  }

  /** @throws {ValidationFailed} pointing at `/cursor` */
  read(list: string, cursor: string): ListPosition {
    const bytes = Buffer.from(cursor, 'base64url');
    const payload = bytes.subarray(TAG_BYTES);
    const isOurs =
      bytes.length > TAG_BYTES &&
      bytes.toString('base64url') === cursor &&
      timingSafeEqual(bytes.subarray(0, TAG_BYTES), this.tag(list, payload));
    if (!isOurs)
      throw new ValidationFailed([
        { pointer: '/cursor', detail: 'must be a cursor that this same list answered, unchanged' },
      ]);
    const [mode, ...keys] = JSON.parse(payload.toString()) as [number, ...string[]];
    return { mode: MODES[mode], keys };
  }

  private tag(list: string, payload: Buffer): Buffer {
    const digest = createHmac('sha256', this.key).update(`${list}\n`).update(payload).digest();
    return digest.subarray(0, TAG_BYTES);
  }
}
