import { describe, expect, it } from '@jest/globals';
import { validate, version } from 'uuid';
import { isId, newId } from './identifiers.js';

const millisecondsOf = (id: string): number => parseInt(id.replace('-', '').slice(0, 12), 16);

describe('A new id', () => {
  it('is a UUID of version 7 that tells when it was made', () => {
    const before = Date.now();
    const id = newId();
    expect([validate(id), version(id), isId(id)]).toEqual([true, 7, true]);
    // A counter that has overflown may have borrowed from the next millisecond.
    expect(millisecondsOf(id)).toBeGreaterThanOrEqual(before);
    expect(millisecondsOf(id)).toBeLessThanOrEqual(Date.now() + 1);
  });

  it('is unlike any other, and sorts after those before, however many a millisecond brings', () => {
    const ids = Array.from({ length: 20_000 }, newId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.toSorted()).toEqual(ids);
    // What is not time or counter is drawn for each.
    expect(new Set(ids.map((id) => id.slice(-12))).size).toBe(ids.length);
  });
});
