import { randomFillSync } from 'node:crypto';
import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common';
import { v7 } from 'uuid';
import { ValidationFailed } from './problem.js';

const BYTES = 16;
/** Drawn for many ids at once: to ask the system for each takes longer than all else about an id. */
const pool = new Uint8Array(256 * BYTES);
let drawn = pool.length;
/** Of the last id. */
let msecs = -Infinity;
let seq = 0;

/**
 * A new UUIDv7 (RFC 9562): sorts by creation time, so it serves as keyset and keeps indexes compact. Those of one process
 * also sort as they were made within a millisecond, by a counter that begins anywhere (section 6.2, method 1).
 */
export function newId(): string {
  const random = randomBytes();
  const now = Date.now();
  if (now > msecs) {
    msecs = now;
    seq = new DataView(random.buffer, random.byteOffset).getUint32(6) >>> 1;
  } else if (++seq > 0xffff_ffff) {
    seq = 0;
    msecs++;
  }
  return v7({ random, msecs, seq });
}

function randomBytes(): Uint8Array {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  return pool.subarray(drawn, (drawn += BYTES));
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether the text is a UUID in its canonical lower-case form. */
export const isId = (text: string): boolean => UUID.test(text);

/** Takes an id from the path, in any case, and gives it in the canonical one. */
@Injectable()
export class IdPipe implements PipeTransform<string, string> {
  transform(value: string, { data = 'id' }: ArgumentMetadata): string {
    const id = value.toLowerCase();
    if (!isId(id)) throw new ValidationFailed([{ pointer: `/${data}`, detail: 'must be a UUID' }]);
    return id;
  }
}
