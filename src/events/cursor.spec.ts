import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatCursor, parseCursor } from './cursor.js';

describe('A cursor', () => {
  it('is read back as it was given out', () => {
    const epoch = fc.stringMatching(/^[0-9a-z]{1,32}$/);
    fc.assert(
      fc.property(epoch, fc.maxSafeNat(), (name, seq) => {
        expect(parseCursor(formatCursor(name, seq))).toEqual({ epoch: name, seq });
      }),
    );
  });

  it.each([
    '',
    '-',
    'abc',
    'abc-',
    '-1',
    'abc--1',
    'abc-01',
    'abc-1.5',
    'abc-1e3',
    'ABC-1',
    'abc-1 ',
    ' abc-1',
    'a_b-1',
    'abc-1\n',
    `abc-${'9'.repeat(17)}`,
    `${'a'.repeat(33)}-1`,
  ])('is not %j', (text) => {
    expect(parseCursor(text)).toBeUndefined();
  });
});
