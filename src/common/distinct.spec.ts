import { describe, expect, it } from '@jest/globals';
import { validateSync } from 'class-validator';
import { AreDistinct } from './distinct.js';

class Names {
  @AreDistinct({ message: 'must differ' })
  names: unknown;
}

const isGood = (names: unknown): boolean => validateSync(Object.assign(new Names(), { names })).length === 0;

describe('A list whose entries are to differ', () => {
  it('is one in which nothing stands twice', () => {
    for (const good of [[], ['a'], ['a', 'b', 1, '1']]) expect(isGood(good)).toBe(true);
    for (const bad of [['a', 'b', 'a'], [1, 1], 'ab', null, { 0: 'a' }]) expect(isGood(bad)).toBe(false);
  });

  it('is read through a few times, however long it is, and not once for each of its entries', () => {
    let reads = 0;
    const long = new Proxy(
      Array.from({ length: 1_000 }, (_, n) => `n${n}`),
      {
        get: (list, key, itself): unknown => {
          reads++;
          return Reflect.get(list, key, itself);
        },
      },
    );
    expect(isGood(long)).toBe(true);
    expect(reads).toBeLessThan(10_000);
  });
});
