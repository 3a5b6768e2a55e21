import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { spread } from './spread.js';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

describe('What is spread over a time', () => {
  it('is done to a few at once', () => {
    const done: number[] = [];
    void spread([1, 2, 3], 5_000, (one) => done.push(one));
    expect(done).toEqual([1, 2, 3]);
  });

  it('is done to many evenly, to each once, and is over by then', async () => {
    const all = Array.from({ length: 10_000 }, (_, n) => n);
    const done: number[] = [];
    const over = spread(all, 5_000, (one) => done.push(one));
    expect(done).toHaveLength(100);
    await jest.advanceTimersByTimeAsync(2_500);
    expect(done.length).toBeGreaterThan(4_900);
    expect(done.length).toBeLessThan(5_300);
    await jest.advanceTimersByTimeAsync(2_500);
    await over;
    expect(done).toEqual(all);
  });
});
